/* The feed of the index of dead letters, on a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dlq/feed.h"
#include "dlq/index_parts.h"
#include "test_kafka_support.h"

#define NOW_MS INT64_C(1893456000000)

struct world {
    struct rig rig; /* its topic is the dead-letter topic */
    struct config *config;
    char source[96], group[96], letters[200], states[200];
    char dir[64], path[80];
    struct dlq_index *index;
    struct dlq_feed *feed;
    int moved;
    bool caught_up;
    int failures;
    struct err err;
    uint64_t wanted;
    char uuid[KAFKA_UUID_MAX];
    bool described;
};

static void check(struct world *world, bool ok)
{
    if (!ok)
        fail_msg("%s", world->err.text);
}

static struct config *parse(const struct world *world)
{
    static const char yaml[] =
        "kafka:\n  bootstrap.servers: %s\nredis:\n  url: redis://127.0.0.1:6379\n"
        "routes:\n  - name: orders\n    topics: [%s]\n    group: %s\n"
        "    handler:\n      url: http://127.0.0.1:9/\n";
    struct config_problems problems = {0};
    struct buf text = {0}, said = {0};
    struct config *config;
    struct err err;

    buf_printf(&text, yaml, world->rig.bootstrap, world->source, world->group);
    config = config_parse(text.data, text.len, "test", &problems, &err);
    if (config == NULL) {
        config_problems_print(&problems, "test", &said);
        fail_msg("%s: %s", err.text, said.data);
    }
    config_problems_free(&problems);
    buf_deinit(&text);
    return config;
}

static int set_up(void **state)
{
    static struct world world;

    world = (struct world){.rig = {.bootstrap = support_bootstrap(), .loop = support_loop()}};
    snprintf(world.source, sizeof(world.source), "%s", support_name("source"));
    snprintf(world.group, sizeof(world.group), "%s", support_name("g"));
    snprintf(world.letters, sizeof(world.letters), "dlq.%s.%s", world.group, world.source);
    snprintf(world.states, sizeof(world.states), "dlq-state.%s", world.group);
    snprintf(world.dir, sizeof(world.dir), "/tmp/og-feed-XXXXXX");
    if (mkdtemp(world.dir) == NULL)
        return -1;
    snprintf(world.path, sizeof(world.path), "%s/index", world.dir);
    world.config = parse(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char command[128];

    dlq_feed_free(&world->feed);
    dlq_index_close(&world->index);
    config_free(&world->config);
    loop_free(&world->rig.loop);
    snprintf(command, sizeof(command), "rm -rf %s", world->dir);
    return system(command);
}

/* ---- the feed ---- */

static void on_moved(void *arg, bool caught_up)
{
    struct world *world = arg;

    world->moved++;
    world->caught_up = caught_up;
}

static void on_failed(void *arg, const struct err *err)
{
    struct world *world = arg;

    world->failures++;
    world->err = *err;
}

static void feed_start(struct world *world, bool follow, const struct dlq_filter *only)
{
    struct dlq_feed_options options = {.follow = follow,
                                       .with_text = only == NULL || only->text != NULL,
                                       .moved = on_moved,
                                       .failed = on_failed,
                                       .arg = world,
                                       .only = only};

    world->caught_up = false;
    world->moved = 0;
    world->feed = dlq_feed_new(world->rig.loop, world->config, world->index, &options, &world->err);
    check(world, world->feed != NULL);
    assert_int_equal(world->moved, 0);
}

/* path NULL: in memory. */
static void open_index(struct world *world, const char *path)
{
    dlq_feed_free(&world->feed);
    dlq_index_close(&world->index);
    world->index = dlq_index_open(path, true, &world->err);
    check(world, world->index != NULL);
}

static bool is_caught_up(void *arg)
{
    return ((struct world *)arg)->caught_up;
}

static void await_caught_up(struct world *world)
{
    support_wait(world->rig.loop, is_caught_up, world, 40, "the feed has caught up");
    assert_int_equal(world->failures, 0);
}

static uint64_t count(struct world *world, const char *name, const char *value)
{
    struct dlq_filter filter;
    struct dlq_covered covered;
    uint64_t n = 0;

    dlq_filter_init(&filter);
    filter.states = DLQ_STATE_ANY;
    if (name != NULL && strcmp(name, "state") == 0)
        filter.states = 0;
    if (name != NULL)
        check(world, dlq_filter_set(&filter, name, slice_of(value), NOW_MS, &world->err));
    check(world, dlq_index_count(world->index, &filter, 0, &n, &covered, &world->err));
    dlq_filter_deinit(&filter);
    return n;
}

static bool has_wanted(void *arg)
{
    struct world *world = arg;

    return count(world, NULL, NULL) == world->wanted;
}

static void await_letters(struct world *world, uint64_t wanted)
{
    world->wanted = wanted;
    support_wait(world->rig.loop, has_wanted, world, 60, "the letters are in the index");
}

/* ---- what is in the topics ---- */

static rd_kafka_headers_t *letter_headers(const struct world *world, int n)
{
    struct record rec = {.topic = slice_of(world->source), .partition = 0, .offset = n};
    struct copy_info info = {.group = slice_of(world->group),
                             .route = SLICE_LIT("orders"),
                             .origin = {slice_of(world->source), 0, -1, n, 1700000000000, 0},
                             .attempt = 3,
                             .first_failed_at_ms = 1700000000000,
                             .last_failed_at_ms = 1700000001000,
                             .error_code = SLICE_LIT("http-422"),
                             .http_status = 422};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(32);
    struct header_list list;
    char detail[64];

    snprintf(detail, sizeof(detail), "%s %d was declined", n % 2 ? "card" : "account", n);
    info.error_detail = slice_of(detail);
    header_list_init(&list);
    headers_write_copy(&list, COPY_DEAD_LETTER, &rec, &info, NULL, 4096);
    for (size_t i = 0; i < list.count; i++)
        rd_kafka_header_add(headers, list.items[i].name.data, (ssize_t)list.items[i].name.len,
                            list.items[i].value.data, (ssize_t)list.items[i].value.len);
    header_list_deinit(&list);
    return headers;
}

/* Letters first to first+n-1, in turn to two partitions; every fifth is Spring's. */
static void produce(const struct world *world, int first, int n)
{
    rd_kafka_t *rk = support_client(world->rig.bootstrap, RD_KAFKA_PRODUCER, NULL);

    for (int i = first; i < first + n; i++) {
        char key[16], value[48];
        int key_len = snprintf(key, sizeof(key), "k%d", i % 7);
        int value_len = snprintf(value, sizeof(value), "{\"order\":%d,\"word\":\"w%d\"}", i, i % 3);
        rd_kafka_headers_t *headers = rd_kafka_headers_new(2);

        if (i % 5 == 4) {
            rd_kafka_header_add(headers, "kafka_dlt-original-topic", -1, "other", 5);
            rd_kafka_header_add(headers, "kafka_dlt-exception-fqcn", -1, "a.B", 3);
        } else {
            rd_kafka_headers_destroy(headers);
            headers = letter_headers(world, i);
        }
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(world->letters),
                                           RD_KAFKA_V_PARTITION(i % 2),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_KEY(key, (size_t)key_len),
                                           RD_KAFKA_V_VALUE(value, (size_t)value_len),
                                           RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static void on_described(void *arg, const struct kafka_topic *topics, size_t n,
                         const struct err *err)
{
    struct world *world = arg;

    assert_null(err);
    assert_int_equal(n, 1);
    memcpy(world->uuid, topics[0].uuid, sizeof(world->uuid));
    world->described = true;
}

static bool is_described(void *arg)
{
    return ((struct world *)arg)->described;
}

/* The state of the letter at partition/offset, as a console writes it. */
static void produce_state(struct world *world, int32_t partition, int64_t offset,
                          enum letter_status status)
{
    const char *names[] = {world->letters};
    struct letter_state letter_state = {.status = status, .by = SLICE_LIT("test"), .at_ms = 1};
    struct letter_id id = {.partition = partition, .offset = offset};
    struct buf key = {0}, value = {0};
    char topic[LETTER_TOPIC_MAX];
    struct kafka_admin *admin = kafka_admin_new(world->rig.loop, world->config, &world->err);
    rd_kafka_t *rk = support_client(world->rig.bootstrap, RD_KAFKA_PRODUCER, NULL);

    check(world, admin != NULL);
    world->described = false;
    kafka_admin_describe(admin, names, 1, false, on_described, world);
    support_wait(world->rig.loop, is_described, world, 20, "the topic is described");
    kafka_admin_free(&admin);
    letter_id_topic(world->uuid, world->letters, topic);
    id.topic = slice_of(topic);
    letter_id_write(&key, &id);
    letter_state_write(&value, &letter_state);
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(world->states), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_KEY(key.data, key.len),
                                       RD_KAFKA_V_VALUE(value.data, value.len), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    buf_deinit(&key);
    buf_deinit(&value);
}

static void make_topics(struct world *world)
{
    support_topic(world->rig.loop, world->config, world->letters, 2, NULL, 0);
    support_topic(world->rig.loop, world->config, world->states, 1, NULL, 0);
}

/* ---- what the index says, as text ---- */

static bool note_group(void *arg, const struct dlq_group *group)
{
    buf_printf(arg, "group %s %s %s open=%llu resolved=%llu archived=%llu keys=%llu %lld-%lld\n",
               group->signature, group->route, group->code, (unsigned long long)group->open,
               (unsigned long long)group->resolved, (unsigned long long)group->archived,
               (unsigned long long)group->keys, (long long)group->first_ms,
               (long long)group->last_ms);
    return true;
}

static bool note_row(void *arg, const struct dlq_row *row)
{
    buf_printf(arg, "%s/%d/%lld %s %s %s %s key=%.*s state=%u\n", row->topic, (int)row->partition,
               (long long)row->offset, row->state_key, row->route, row->signature, row->detail,
               (int)row->key.len, row->key.data, row->state);
    return true;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in one order: rows of one time have none. */
static void sort_lines(struct buf *text)
{
    char *lines[2000], *rest = NULL, *copy = mem_strdup(text->data);
    size_t n = 0;

    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        lines[n++] = line;
    qsort(lines, n, sizeof(*lines), by_line);
    buf_reset(text);
    for (size_t i = 0; i < n; i++)
        buf_printf(text, "%s\n", lines[i]);
    mem_free(copy);
}

static char *tell(struct world *world)
{
    struct dlq_filter filter;
    struct dlq_covered covered;
    struct buf out = {0};
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX];
    char *text;

    dlq_filter_init(&filter);
    filter.states = DLQ_STATE_ANY;
    check(world,
          dlq_index_groups(world->index, &filter, NOW_MS, note_group, &out, &covered, &world->err));
    assert_true(covered.complete);
    assert_int_equal(covered.rows_read, covered.rows_total);
    do {
        check(world, dlq_index_list(world->index, &filter, cursor, 100, note_row, &out, next,
                                    &covered, &world->err));
        memcpy(cursor, next, sizeof(cursor));
    } while (cursor[0] != '\0');
    dlq_filter_deinit(&filter);
    sort_lines(&out);
    text = mem_strdup(out.data);
    buf_deinit(&out);
    return text;
}

/* ---- */

static bool is_settled(void *arg)
{
    return count(arg, "text", "w1") == 33 && count(arg, "state", "archived") == 1;
}

static void test_feed_followed_and_rebuilt_are_equal(void **state)
{
    struct world *world = *state;
    char *followed, *rebuilt;

    make_topics(world);
    produce(world, 0, 40);
    open_index(world, world->path);
    feed_start(world, true, NULL);
    await_caught_up(world);
    assert_int_equal(count(world, NULL, NULL), 40);
    assert_int_equal(count(world, "text", "w1"), 13);
    produce_state(world, 0, 3, LETTER_RESOLVED);
    support_abort(world->rig.bootstrap, world->letters, 1);
    produce(world, 40, 60);
    produce_state(world, 1, 2, LETTER_ARCHIVED);
    await_letters(world, 100);
    support_wait(world->rig.loop, is_settled, world, 40, "the words and the state are there");
    assert_int_equal(count(world, "code", "a.B"), 20);
    assert_int_equal(count(world, "state", "resolved"), 1);
    followed = tell(world);
    assert_int_equal(dlq_feed_records(world->feed), 100 + 2 + 40);

    open_index(world, NULL);
    feed_start(world, false, NULL);
    await_caught_up(world);
    rebuilt = tell(world);
    assert_string_equal(followed, rebuilt);
    assert_int_equal(count(world, "text", "w1"), 33);
    mem_free(followed);
    mem_free(rebuilt);
}

static void test_feed_keeps_a_state_that_comes_before_its_letter(void **state)
{
    struct world *world = *state;

    make_topics(world);
    produce_state(world, 1, 0, LETTER_ARCHIVED);
    open_index(world, NULL);
    feed_start(world, true, NULL);
    await_caught_up(world);
    assert_int_equal(count(world, NULL, NULL), 0);
    produce(world, 0, 2);
    await_letters(world, 2);
    assert_int_equal(count(world, "state", "archived"), 1);
}

static void test_feed_drops_what_retention_took(void **state)
{
    struct world *world = *state;

    make_topics(world);
    produce(world, 0, 20);
    open_index(world, NULL);
    feed_start(world, true, NULL);
    await_caught_up(world);
    assert_int_equal(count(world, NULL, NULL), 20);
    support_delete_records(world->rig.bootstrap, world->letters, 0, 7);
    await_letters(world, 13);
}

static void test_feed_goes_on_from_a_file(void **state)
{
    struct world *world = *state;

    make_topics(world);
    produce(world, 0, 20);
    open_index(world, world->path);
    feed_start(world, true, NULL);
    await_caught_up(world);
    open_index(world, world->path);
    produce(world, 20, 5);
    feed_start(world, true, NULL);
    await_caught_up(world);
    assert_int_equal(count(world, NULL, NULL), 25);
    assert_int_equal(count(world, "text", "declined"), 20);
    assert_int_equal(dlq_feed_records(world->feed), 5 + 5); /* rows, and their words */
}

/* In how many places of the text index a word is looked up. */
static int runs(struct world *world)
{
    sqlite3_stmt *stmt;
    int count;

    assert_int_equal(sqlite3_prepare_v2(world->index->db,
                                        "SELECT count(DISTINCT segid) FROM words_idx", -1, &stmt,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    count = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

static bool is_tidy(void *arg)
{
    return runs(arg) < 8;
}

static void test_feed_with_nothing_to_read_tidies(void **state)
{
    struct world *world = *state;

    make_topics(world);
    open_index(world, world->path);
    feed_start(world, true, NULL);
    await_caught_up(world);
    for (int i = 0; i < 12; i++) {
        produce(world, i, 1);
        await_letters(world, (uint64_t)i + 1);
    }
    support_wait(world->rig.loop, is_tidy, world, 20, "the words of twelve are put together");
    assert_int_equal(count(world, "text", "w1"), 4);
}

static void test_feed_of_topics_that_are_made_later_and_again(void **state)
{
    struct world *world = *state;

    open_index(world, NULL);
    feed_start(world, true, NULL);
    await_caught_up(world);
    make_topics(world);
    produce(world, 0, 10);
    await_letters(world, 10);
    support_delete_topic(world->rig.bootstrap, world->letters);
    support_topic(world->rig.loop, world->config, world->letters, 2, NULL, 0);
    produce(world, 0, 4);
    await_letters(world, 4);
    assert_int_equal(world->failures, 0);
}

static void test_feed_waits_for_a_broker_that_is_away(void **state)
{
    struct world *world = *state;

    make_topics(world);
    produce(world, 0, 10);
    open_index(world, NULL);
    feed_start(world, true, NULL);
    await_caught_up(world);
    if (!support_broker_down())
        skip();
    loop_turn(world->rig.loop, true);
    assert_true(support_broker_up());
    produce(world, 10, 10);
    await_letters(world, 20);
}

static bool has_failed(void *arg)
{
    return ((struct world *)arg)->failures > 0;
}

static void test_feed_without_a_broker_says_so_once(void **state)
{
    struct world *world = *state;

    config_free(&world->config);
    world->rig.bootstrap = "127.0.0.1:1";
    world->config = parse(world);
    open_index(world, NULL);
    feed_start(world, false, NULL);
    support_wait(world->rig.loop, has_failed, world, 60, "it says that nobody answers");
    assert_true(world->err.retriable);
    assert_int_equal(world->failures, 1);
    assert_false(world->caught_up);
}

/* The same answer as of a whole index, from a few words of it. */
static void test_feed_keeps_the_words_that_are_asked_for_and_all_rows(void **state)
{
    struct world *world = *state;
    struct dlq_filter only;
    uint64_t others;

    make_topics(world);
    produce(world, 0, 30);
    dlq_filter_init(&only);
    check(world, dlq_filter_set(&only, "text", SLICE_LIT("card w1"), NOW_MS, &world->err));
    open_index(world, NULL);
    feed_start(world, false, NULL);
    await_caught_up(world);
    assert_int_equal(count(world, "text", "card w1"), 4); /* 1, 7, 13 and 25; 19 is Spring's */
    others = count(world, "text", "w2");
    assert_int_equal(others, 10);
    open_index(world, NULL);
    feed_start(world, false, &only);
    await_caught_up(world);
    assert_int_equal(count(world, "text", "card w1"), 4);
    assert_int_equal(count(world, NULL, NULL), 30);
    assert_true(count(world, "text", "w2") < others);
    dlq_feed_free(&world->feed);
    dlq_filter_deinit(&only);
}

/* More than are taken in one turn of the loop: the end is that of the log, not of the turn. */
static void test_feed_that_does_not_follow_reads_to_the_ends(void **state)
{
    struct world *world = *state;
    struct dlq_filter filter;
    struct dlq_covered covered;
    uint64_t n;

    make_topics(world);
    produce(world, 0, 3000);
    for (int with_words = 0; with_words < 2; with_words++) {
        dlq_filter_init(&filter);
        if (with_words)
            check(world, dlq_filter_set(&filter, "text", SLICE_LIT("w1"), NOW_MS, &world->err));
        open_index(world, NULL);
        feed_start(world, false, &filter);
        await_caught_up(world);
        dlq_feed_free(&world->feed);
        check(world, dlq_index_count(world->index, &filter, 0, &n, &covered, &world->err));
        assert_int_equal(n, with_words ? 1000 : 3000);
        assert_int_equal(covered.rows_read, 3000);
        assert_true(covered.complete);
        dlq_filter_deinit(&filter);
    }
}

static void test_feed_of_a_topic_that_is_none_is_refused(void **state)
{
    struct world *world = *state;
    struct dlq_filter only;
    struct dlq_feed_options options = {.only = &only};

    dlq_filter_init(&only);
    open_index(world, NULL);
    check(world, dlq_filter_set(&only, "topic", SLICE_LIT("elsewhere"), NOW_MS, &world->err));
    assert_null(dlq_feed_new(world->rig.loop, world->config, world->index, &options, &world->err));
    assert_int_equal(world->err.code, ERR_USAGE);
    assert_non_null(strstr(world->err.text, "elsewhere is no dead-letter topic"));
    check(world, dlq_filter_set(&only, "topic", slice_of(world->letters), NOW_MS, &world->err));
    feed_start(world, false, &only);
    await_caught_up(world);
    dlq_feed_free(&world->feed);
    dlq_filter_deinit(&only);
}

#define FED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FED(test_feed_followed_and_rebuilt_are_equal),
        FED(test_feed_keeps_a_state_that_comes_before_its_letter),
        FED(test_feed_drops_what_retention_took),
        FED(test_feed_goes_on_from_a_file),
        FED(test_feed_with_nothing_to_read_tidies),
        FED(test_feed_of_topics_that_are_made_later_and_again),
        FED(test_feed_keeps_the_words_that_are_asked_for_and_all_rows),
        FED(test_feed_that_does_not_follow_reads_to_the_ends),
        FED(test_feed_of_a_topic_that_is_none_is_refused),
        FED(test_feed_without_a_broker_says_so_once),
        FED(test_feed_waits_for_a_broker_that_is_away),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
