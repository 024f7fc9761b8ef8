/* The index of dead letters: letters, states, lines, pages, groups, retention, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "dlq/index_parts.h"
#include "dlq/words.h"
#include "index_place.h"

#define T0    INT64_C(1767323045000)
#define TOPIC "dlq.g.orders"
#define UUID  "abc+/abcdefghijklmnopqA"
#define REF   "abc-_abcdefghijklmnopqA"

struct fixture {
    struct index_place place;
    struct dlq_index *index;
    struct err err;
};

/* What a letter is made of; the rest has one value for all. */
struct made {
    int64_t offset, at_ms;
    const char *topic, *key, *value, *code, *detail, *first, *route;
    int status;
    uint32_t redrive_count;
};

static void check(struct fixture *f, bool ok)
{
    if (!ok)
        fail_msg("%s", f->err.text);
}

static void begin(struct fixture *f)
{
    check(f, dlq_index_begin(f->index, &f->err));
}

static void commit(struct fixture *f)
{
    check(f, dlq_index_commit(f->index, &f->err));
}

static void open_again(struct fixture *f)
{
    dlq_index_close(&f->index);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
}

static int set_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    index_place_make(&f->place);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    begin(f);
    check(f, dlq_index_topic(f->index, DLQ_LETTERS, TOPIC, UUID, 2, &f->err));
    check(f, dlq_index_topic(f->index, DLQ_STATES, "dlq-state.g", "", 1, &f->err));
    commit(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    dlq_index_close(&f->index);
    index_place_remove(&f->place);
    mem_free(f);
    return 0;
}

static struct record record_of(const struct made *m)
{
    return (struct record){.topic = slice_of(m->topic ? m->topic : TOPIC),
                           .offset = m->offset,
                           .timestamp_ms = T0 + m->at_ms,
                           .key = slice_of(m->key),
                           .value = slice_of(m->value)};
}

static void add_in(struct fixture *f, const struct made *m)
{
    struct record rec = record_of(m);
    struct dead_letter letter = {
        .group = slice_of("g"),
        .route = slice_of(m->route ? m->route : "orders"),
        .origin = {.topic = slice_of("orders"), .offset = m->offset + 1000},
        .attempts = 3,
        .http_status = m->status,
        .code = slice_of(m->code),
        .detail = slice_of(m->detail),
        .redrive_count = m->redrive_count,
        .first_letter = slice_of(m->first)};
    headers_signature(letter.route, letter.code, letter.detail, letter.signature);
    check(f, dlq_index_add(f->index, &rec, &letter, &f->err));
}

static void add(struct fixture *f, struct made m)
{
    begin(f);
    add_in(f, &m);
    commit(f);
}

static int64_t state_offset;

static void add_state(struct fixture *f, int64_t offset, enum letter_status status,
                      enum letter_result result, const char *redrive, uint32_t count, int64_t at_ms)
{
    struct letter_id id = {slice_of(REF), 0, offset};
    struct letter_state state = {.status = status,
                                 .result = result,
                                 .redrive_id = slice_of(redrive),
                                 .redrive_count = count,
                                 .at_ms = T0 + at_ms};
    struct record rec = {.topic = slice_of("dlq-state.g"), .offset = state_offset++};
    begin(f);
    check(f, dlq_index_add_state(f->index, &rec, &id, &state, &f->err));
    commit(f);
}

/* ---- what is asked ---- */

static struct dlq_filter filter_of(const char *parts)
{
    struct dlq_filter filter;
    struct err err = {0};
    dlq_filter_init(&filter);
    for (const char *at = parts; *at;) {
        char name[32], value[200];
        int used = 0;
        assert_int_equal(sscanf(at, "%31[^=]=%199[^;]%n", name, value, &used), 2);
        if (!dlq_filter_set(&filter, name, slice_of(value), T0, &err))
            fail_msg("%s", err.text);
        at += used;
        at += *at == ';';
    }
    return filter;
}

static bool on_row(void *arg, const struct dlq_row *row)
{
    buf_printf(arg, "%" PRId64 ":%s:%s ", row->offset, dlq_state_name(row->state), row->code);
    return true;
}

/* Offsets, states and codes of all pages, newest first. */
static void assert_listed(struct fixture *f, const char *parts, size_t limit, const char *expected)
{
    struct dlq_filter filter = filter_of(parts);
    struct dlq_covered covered;
    struct buf seen = {0};
    char next[DLQ_CURSOR_MAX] = "", cursor[DLQ_CURSOR_MAX];
    uint64_t count;
    buf_add_text(&seen, "");
    do {
        memcpy(cursor, next, sizeof(cursor));
        check(f, dlq_index_list(f->index, &filter, cursor, limit, on_row, &seen, next, &covered,
                                &f->err));
    } while (next[0]);
    if (strcmp(seen.data, expected) != 0)
        fail_msg("\"%s\" lists %s, not %s", parts, seen.data, expected);
    check(f, dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    uint64_t colons = 0;
    for (const char *c = expected; *c; c++)
        colons += *c == ' ';
    assert_int_equal(count, colons);
    buf_deinit(&seen);
    dlq_filter_deinit(&filter);
}

struct one_group {
    int count;
    uint64_t open, redriving, resolved, archived, keys, attempts, letters, sparks;
    int64_t first_ms, last_ms;
    char title[200], example[64], detail[100];
};

static bool on_group(void *arg, const struct dlq_group *group)
{
    struct one_group *out = arg;
    if (out->count++ > 0)
        return true;
    out->open = group->open;
    out->redriving = group->redriving;
    out->resolved = group->resolved;
    out->archived = group->archived;
    out->keys = group->keys;
    out->attempts = group->attempts;
    out->letters = group->letters;
    out->first_ms = group->first_ms - T0;
    out->last_ms = group->last_ms - T0;
    for (int i = 0; i < DLQ_SPARK; i++)
        out->sparks += group->spark[i];
    (void)str_copy(out->title, sizeof(out->title), slice_of(group->title));
    (void)str_copy(out->example, sizeof(out->example), slice_of(group->example));
    (void)str_copy(out->detail, sizeof(out->detail), slice_of(group->example_detail));
    return true;
}

/* The first group, and how many there are. */
static struct one_group first_group(struct fixture *f, const char *parts)
{
    struct dlq_filter filter = filter_of(parts);
    struct dlq_covered covered;
    struct one_group out = {0};
    check(f, dlq_index_groups(f->index, &filter, T0 + 3600000, on_group, &out, &covered, &f->err));
    dlq_filter_deinit(&filter);
    return out;
}

/* ---- tests ---- */

static void test_list_of_each_filter_takes_its_lines(void **state)
{
    struct fixture *f = *state;
    add(f, (struct made){.offset = 0, .at_ms = 10, .key = "a", .code = "http-503", .status = 503});
    add(f, (struct made){.offset = 1, .at_ms = 20, .key = "b", .code = "http-404", .status = 404});
    add(f, (struct made){.offset = 2, .at_ms = 5, .key = "a", .code = "timeout"});
    add(f, (struct made){.offset = 3, .at_ms = 30, .code = "timeout", .route = "other"});
    add(f, (struct made){.topic = "dlq.g.two", .offset = 4, .at_ms = 40, .key = "a", .code = "x"});
    assert_listed(f, "", 2,
                  "4:open:x 3:open:timeout 1:open:http-404 0:open:http-503 2:open:timeout ");
    assert_listed(f, "", 100,
                  "4:open:x 3:open:timeout 1:open:http-404 0:open:http-503 2:open:timeout ");
    assert_listed(f, "route=orders;code=timeout", 1, "2:open:timeout ");
    assert_listed(f, "topic=dlq.g.two", 1, "4:open:x ");
    assert_listed(f, "status=5xx", 1, "0:open:http-503 ");
    assert_listed(f, "status=404", 1, "1:open:http-404 ");
    assert_listed(f, "key=a", 1, "4:open:x 0:open:http-503 2:open:timeout ");
    assert_listed(f, "key=a;route=orders;status=5xx", 1, "0:open:http-503 ");
    assert_listed(f, "key=c", 1, "");
    assert_listed(f, "since=1767323045010;until=1767323045030", 1,
                  "1:open:http-404 0:open:http-503 ");
    assert_listed(f, "id=dlq.g.orders/0/1;id=dlq.g.orders/0/3;id=dlq.g.orders/0/1;id=no/0/1", 1,
                  "3:open:timeout 1:open:http-404 ");
    assert_listed(f, "id=dlq.g.orders/0/1;code=timeout", 1, "");
    assert_listed(f, "state=resolved", 1, "");
}

static void test_add_twice_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct made m = {.offset = 7, .at_ms = 10, .key = "a", .code = "x"};
    add(f, m);
    add(f, m);
    assert_listed(f, "", 10, "7:open:x ");
    int64_t position;
    check(f, dlq_index_position(f->index, TOPIC, 0, DLQ_READ_ROWS, &position, &f->err));
    assert_int_equal(position, 8);
    m.offset = 5; /* one that comes late is taken */
    add(f, m);
    assert_listed(f, "", 10, "5:open:x 7:open:x ");
    check(f, dlq_index_position(f->index, TOPIC, 0, DLQ_READ_ROWS, &position, &f->err));
    assert_int_equal(position, 8);
}

static void test_state_before_and_after_its_letter(void **state)
{
    struct fixture *f = *state;
    add_state(f, 1, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "r", 1, 50);
    add(f, (struct made){.offset = 1, .at_ms = 10, .key = "a", .code = "x"});
    assert_listed(f, "", 10, "");
    assert_listed(f, "state=any", 10, "1:resolved:x ");
    add(f, (struct made){.offset = 2, .at_ms = 20, .key = "a", .code = "x"});
    add_state(f, 2, LETTER_REDRIVING, LETTER_NO_RESULT, "r2", 1, 50);
    assert_listed(f, "", 10, "2:redriving:x ");
    add_state(f, 2, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "r2", 1, 60);
    /* The writer of this one was late: the redrive is over. */
    add_state(f, 2, LETTER_REDRIVING, LETTER_NO_RESULT, "r2", 1, 55);
    assert_listed(f, "state=any", 10, "2:resolved:x 1:resolved:x ");
    add_state(f, 2, LETTER_ARCHIVED, LETTER_NO_RESULT, "r2", 1, 70);
    assert_listed(f, "state=archived", 10, "2:archived:x ");
    add_state(f, 2, LETTER_FORGOTTEN, LETTER_NO_RESULT, NULL, 0, 0);
    assert_listed(f, "", 10, "2:open:x ");
}

static void test_continued_letter_opens_its_line_again(void **state)
{
    struct fixture *f = *state;
    add(f, (struct made){.offset = 1, .at_ms = 10, .key = "a", .code = "x", .detail = "old"});
    add_state(f, 1, LETTER_REDRIVING, LETTER_NO_RESULT, "r", 1, 50);
    assert_listed(f, "", 10, "1:redriving:x ");
    add(f, (struct made){.offset = 5,
                         .at_ms = 60,
                         .key = "a",
                         .code = "y",
                         .detail = "new",
                         .redrive_count = 1,
                         .first = REF "/0/1"});
    /* One line, at its old place, with what failed last. */
    assert_listed(f, "", 10, "1:open:y ");
    assert_listed(f, "code=x", 10, "");
    assert_listed(f, "id=dlq.g.orders/0/5", 10, "1:open:y ");
    struct one_group group = first_group(f, "");
    assert_int_equal(group.count, 1);
    assert_int_equal(group.attempts, 6);
    assert_string_equal(group.title, "y: new");
    add_state(f, 1, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "r", 2, 80);
    assert_listed(f, "state=any", 10, "1:resolved:y ");
}

static void test_continued_letter_before_its_first(void **state)
{
    struct fixture *f = *state;
    struct made again = {
        .offset = 5, .at_ms = 60, .key = "a", .code = "y", .redrive_count = 1, .first = REF "/0/1"};
    add(f, again);
    assert_listed(f, "", 10, "5:open:y "); /* retention may have taken the first */
    add(f, (struct made){.offset = 1, .at_ms = 10, .key = "a", .code = "x"});
    assert_listed(f, "", 10, "1:open:y ");
    uint64_t gone;
    begin(f);
    check(f, dlq_index_trim(f->index, TOPIC, 0, 3, &gone, &f->err));
    commit(f);
    assert_int_equal(gone, 1);
    assert_listed(f, "", 10, "5:open:y ");
}

static void keep_row(void *arg, const struct dlq_row *row)
{
    buf_printf(arg, "%s %s %s %" PRId64 " %" PRIu64 " %s %d %" PRId64 " %u %s", row->topic,
               row->state_key, row->latest, row->written_ms - T0, row->key_size, row->origin_topic,
               row->origin_partition, row->origin_offset, row->attempts, row->redrive_id);
}

static void test_get_says_all_of_a_line(void **state)
{
    struct fixture *f = *state;
    struct buf seen = {0};
    char key[400];
    bool found;
    memset(key, 'k', sizeof(key));
    key[399] = '\0';
    add(f, (struct made){.offset = 1, .at_ms = 10, .key = key, .code = "x"});
    add_state(f, 1, LETTER_REDRIVING, LETTER_NO_RESULT, "job-1", 1, 50);
    struct dlq_id id = {(char *)TOPIC, 0, 1};
    check(f, dlq_index_get(f->index, &id, keep_row, &seen, &found, &f->err));
    assert_true(found);
    assert_string_equal(seen.data, TOPIC " " REF "/0/1 " TOPIC "/0/1 10 399 orders 0 1001 3 job-1");
    id.offset = 2;
    check(f, dlq_index_get(f->index, &id, keep_row, &seen, &found, &f->err));
    assert_false(found);
    buf_deinit(&seen);
}

static void test_groups_count_lines_keys_and_hours(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        char detail[32];
        snprintf(detail, sizeof(detail), "order %d is gone", i);
        add(f, (struct made){.offset = i,
                             .at_ms = 100 + i,
                             .key = i % 2 ? "odd" : "even",
                             .code = "http-410",
                             .status = 410,
                             .detail = detail});
    }
    add(f, (struct made){.offset = 10, .at_ms = 1, .code = "timeout"});
    add_state(f, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "r", 1, 500);
    add_state(f, 1, LETTER_REDRIVING, LETTER_NO_RESULT, "r", 1, 500);
    struct one_group group = first_group(f, "");
    assert_int_equal(group.count, 2);
    assert_int_equal(group.open, 8);
    assert_int_equal(group.redriving, 1);
    assert_int_equal(group.resolved, 1);
    assert_int_equal(group.keys, 2);
    assert_int_equal(group.letters, 10);
    assert_int_equal(group.attempts, 30);
    assert_int_equal(group.first_ms, 100);
    assert_int_equal(group.last_ms, 109);
    assert_int_equal(group.sparks, 10);
    assert_string_equal(group.title, "http-410: order <n> is gone");
    assert_string_equal(group.example, TOPIC "/0/9");
    assert_string_equal(group.detail, "order 9 is gone");
    group = first_group(f, "since=1767323045102;until=1767323045105");
    assert_int_equal(group.count, 1);
    assert_int_equal(group.open, 3);
    group = first_group(f, "key=odd;state=any");
    assert_int_equal(group.open, 4);
    assert_int_equal(group.redriving, 1);
    /* The last of a key that is settled takes the key with it. */
    for (int i = 2; i < 10; i += 2)
        add_state(f, i, LETTER_ARCHIVED, LETTER_NO_RESULT, NULL, 0, 500);
    assert_int_equal(first_group(f, "").keys, 1);
    add_state(f, 4, LETTER_OPEN, LETTER_NO_RESULT, NULL, 0, 600);
    assert_int_equal(first_group(f, "").keys, 2);
}

static void test_trim_takes_rows_and_counts_along(void **state)
{
    struct fixture *f = *state;
    uint64_t gone;
    for (int i = 0; i < 1200; i++)
        add(f, (struct made){.offset = i, .at_ms = i, .key = "k", .code = i < 1100 ? "x" : "y"});
    begin(f);
    check(f, dlq_index_trim(f->index, TOPIC, 0, 1150, &gone, &f->err));
    commit(f);
    assert_int_equal(gone, 1150);
    struct one_group group = first_group(f, "");
    assert_int_equal(group.count, 1);
    assert_int_equal(group.open, 50);
    assert_int_equal(group.keys, 1);
    assert_int_equal(group.first_ms, 1150);
    assert_int_equal(group.sparks, 50);
    add(f, (struct made){.offset = 3, .at_ms = 3, .code = "x"}); /* below: stays gone */
    assert_int_equal(first_group(f, "").count, 1);
}

static void test_topic_made_again_drops_its_rows(void **state)
{
    struct fixture *f = *state;
    int64_t position;
    add(f, (struct made){.offset = 1, .at_ms = 10, .code = "x"});
    add(f, (struct made){.topic = "dlq.g.two", .offset = 2, .at_ms = 20, .code = "x"});
    begin(f);
    check(f, dlq_index_topic(f->index, DLQ_LETTERS, TOPIC, "", 2, &f->err));
    check(f, dlq_index_topic(f->index, DLQ_LETTERS, TOPIC, UUID, 2, &f->err));
    commit(f);
    assert_listed(f, "", 10, "2:open:x 1:open:x ");
    begin(f);
    check(f, dlq_index_topic(f->index, DLQ_LETTERS, TOPIC, "another", 2, &f->err));
    commit(f);
    assert_listed(f, "", 10, "2:open:x ");
    check(f, dlq_index_position(f->index, TOPIC, 0, DLQ_READ_ROWS, &position, &f->err));
    assert_int_equal(position, 0);
    check(f, dlq_index_position(f->index, "dlq.g.two", 0, DLQ_READ_ROWS, &position, &f->err));
    assert_int_equal(position, 3);
}

static void add_text(struct fixture *f, struct made m)
{
    struct record rec = record_of(&m);
    struct record_header header = {SLICE_LIT("X-Tenant"), SLICE_LIT("Blue Whale")};
    rec.headers = &header;
    rec.header_count = 1;
    add(f, m);
    begin(f);
    check(f, dlq_index_add_text(f->index, &rec, &f->err));
    commit(f);
}

static void test_text_is_searched_by_words(void **state)
{
    struct fixture *f = *state;
    add_text(f, (struct made){.offset = 1,
                              .at_ms = 10,
                              .key = "order-17",
                              .value = "{\"a\":\"Gr\xc3\xbcn\"}",
                              .code = "x"});
    add_text(f, (struct made){
                    .offset = 2, .at_ms = 20, .key = "order-18", .value = "green", .code = "y"});
    assert_listed(f, "text=GRUN", 1, "1:open:x ");
    assert_listed(f, "text=order", 1, "2:open:y 1:open:x ");
    assert_listed(f, "text=order-17", 1, "1:open:x ");
    assert_listed(f, "text=gr*", 1, "2:open:y 1:open:x ");
    assert_listed(f, "text=whale tenant gree*", 1, "2:open:y ");
    assert_listed(f, "text=whale;code=x", 1, "1:open:x ");
    assert_listed(f, "text=whale;id=dlq.g.orders/0/2", 1, "2:open:y ");
    assert_listed(f, "text=purple", 1, "");
    assert_int_equal(first_group(f, "text=whale").count, 2);
    struct dlq_filter filter = filter_of("text=***");
    struct dlq_covered covered;
    uint64_t count;
    assert_false(dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    assert_int_equal(f->err.code, ERR_USAGE);
    dlq_filter_deinit(&filter);
}

/* How many lines are listed, each once, and on how many pages. */
static uint64_t listed(struct fixture *f, const char *parts, size_t limit, size_t *pages)
{
    struct dlq_filter filter = filter_of(parts);
    struct dlq_covered covered;
    struct buf seen = {0};
    char next[DLQ_CURSOR_MAX] = "", cursor[DLQ_CURSOR_MAX];
    uint64_t lines = 0;
    *pages = 0;
    buf_add_text(&seen, "");
    do {
        memcpy(cursor, next, sizeof(cursor));
        check(f, dlq_index_list(f->index, &filter, cursor, limit, on_row, &seen, next, &covered,
                                &f->err));
        ++*pages;
    } while (next[0]);
    for (const char *c = seen.data; *c; c++)
        lines += *c == ' ';
    buf_deinit(&seen);
    dlq_filter_deinit(&filter);
    return lines;
}

static size_t terms_of(struct fixture *f, const char *text)
{
    struct buf expression = {0};
    size_t terms;
    check(f, dlq_words_expression(f->index->db, text, &expression, &terms, &f->err));
    buf_deinit(&expression);
    return terms;
}

/* Few words are named, many are not, and both find all. */
static void test_prefix_of_few_and_of_many_words(void **state)
{
    struct fixture *f = *state;
    size_t pages;
    for (int i = 0; i < 300; i++) {
        char value[40];
        snprintf(value, sizeof(value), "many%03d %s", i,
                 i % 2 ? "Stra\xc3\x9f\x65" : "r\xc3\xa9sum\xc3\xa9");
        add_text(
            f, (struct made){
                   .offset = i, .at_ms = i, .key = i % 4 ? "k" : "l", .value = value, .code = "x"});
    }
    assert_int_equal(terms_of(f, "many1*"), 100);
    assert_int_equal(terms_of(f, "many1* many2* whale"), 201);
    assert_int_equal(terms_of(f, "many*"), 0);
    assert_int_equal(terms_of(f, "ma* many1*"), 0);
    assert_int_equal(terms_of(f, "nothing*"), 0);
    assert_int_equal(listed(f, "text=many1*", 30, &pages), 100);
    assert_int_equal(listed(f, "text=many*", 30, &pages), 300);
    assert_int_equal(listed(f, "text=many*;key=k", 30, &pages), 225);
    assert_int_equal(listed(f, "text=many1*;key=k", 30, &pages), 75);
    assert_int_equal(listed(f, "text=nothing*", 30, &pages), 0);
    add_text(f, (struct made){.offset = 300, .at_ms = 300, .value = "ab ab0 ab00", .code = "x"});
    assert_int_equal(terms_of(f, "ab*"), 3); /* each the beginning of the next */
    assert_int_equal(terms_of(f, "STRASS*"), 0);
    assert_int_equal(terms_of(f, "Stra\xc3\x9f*"), 1);
    assert_int_equal(listed(f, "text=stra\xc3\x9f*", 30, &pages), 150);
    assert_int_equal(listed(f, "text=resu*", 30, &pages), 150);
}

/* What a prefix would cost is known before it is asked for. */
static void test_prefix_pages_grow_with_its_words(void **state)
{
    struct fixture *f = *state;
    begin(f);
    for (int i = 0; i < 3000; i++) {
        char value[100];
        snprintf(value, sizeof(value), "%s%04dlongerthanwordsareasarulesothatpagesbecomefull%04d",
                 i % 3 ? "often" : "rare", i, i);
        struct made made = {.offset = i, .at_ms = i, .value = value, .code = "x"};
        struct record rec = record_of(&made);
        add_in(f, &made);
        check(f, dlq_index_add_text(f->index, &rec, &f->err));
    }
    commit(f);
    int64_t often = dlq_words_prefix_pages(f->index->db, SLICE_LIT("often"));
    int64_t rare = dlq_words_prefix_pages(f->index->db, SLICE_LIT("rare"));
    int64_t none = dlq_words_prefix_pages(f->index->db, SLICE_LIT("nothing"));
    assert_in_range(often, 20, 60); /* of 120 KB without what words have in common */
    assert_in_range(rare, 10, 30);
    assert_in_range(none, 0, 1);
}

/* One letter of 41 is of the key, all others have the word, and the key's that have it are its
 * oldest: it is the key's lines that are walked, and not those of everybody. */
static void test_page_of_a_key_stops_short_and_goes_on(void **state)
{
    struct fixture *f = *state;
    enum { MINE = 1200, EVERY = 41 };
    size_t pages;
    begin(f);
    for (int i = 0; i < MINE * EVERY; i++) {
        bool mine = i % EVERY == 0, wanted = !mine || i / EVERY < 40;
        struct made made = {.offset = i,
                            .at_ms = i,
                            .key = mine ? "mine" : "other",
                            .code = "x",
                            .value = wanted ? "wanted" : "unwanted"};
        struct record rec = record_of(&made);
        add_in(f, &made);
        check(f, dlq_index_add_text(f->index, &rec, &f->err));
    }
    commit(f);
    assert_int_equal(listed(f, "key=mine;text=wanted", 30, &pages), 40);
    assert_int_equal(pages, 4); /* two without a line, of 500 looked up */
    uint64_t count;
    struct dlq_covered covered;
    struct dlq_filter filter = filter_of("key=mine;text=wanted");
    check(f, dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    assert_int_equal(count, 40);
    dlq_filter_deinit(&filter);
}

static void test_text_of_rows_that_are_gone_finds_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t gone;
    add_text(f, (struct made){.offset = 1, .at_ms = 10, .value = "green", .code = "x"});
    begin(f);
    check(f, dlq_index_trim(f->index, TOPIC, 0, 2, &gone, &f->err));
    commit(f);
    assert_listed(f, "text=green", 1, "");
    open_again(f);
    /* Of the same ms, so it would have had the same id. */
    add_text(f, (struct made){.offset = 2, .at_ms = 10, .value = "red", .code = "x"});
    assert_listed(f, "text=green", 1, "");
    assert_listed(f, "text=red", 1, "2:open:x ");
}

static void test_words_without_an_index_find_the_same(void **state)
{
    (void)state;
    struct err err = {0};
    struct record_header headers[] = {{SLICE_LIT("x-a"), SLICE_LIT("Blue\0Whale")},
                                      {SLICE_LIT("oncegate-error-detail"), SLICE_LIT("no stock")},
                                      {SLICE_LIT("oncegate-route"), SLICE_LIT("hidden")}};
    struct record rec = {.key = SLICE_LIT("order-17"),
                         .value = SLICE_LIT("\xff green"),
                         .headers = headers,
                         .header_count = 3};
    static const struct {
        const char *text;
        bool found, touched; /* all of it, any of it */
    } cases[] = {{"17 green", true, true},      {"gre*", true, true},
                 {"gre", false, false},         {"stock WHALE", true, true},
                 {"hidden", false, false},      {"order-17 blue", true, true},
                 {"order-18", false, true},     {"x", true, true},
                 {"hidden green", false, true}, {"hidden secret", false, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dlq_words *words = dlq_words_new(cases[i].text, &err);
        assert_non_null(words);
        if (dlq_words_match(words, &rec) != cases[i].found ||
            dlq_words_touch(words, &rec) != cases[i].touched)
            fail_msg("%s", cases[i].text);
        dlq_words_free(&words);
    }
    assert_null(dlq_words_new("- ; *", &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_null(dlq_words_new("a*", &err));
    assert_int_equal(err.code, ERR_USAGE);
}

static void test_covered_says_how_far_it_is(void **state)
{
    struct fixture *f = *state;
    struct dlq_filter filter = filter_of("");
    struct dlq_filter text = filter_of("text=x");
    struct dlq_covered covered;
    uint64_t count;
    begin(f);
    check(f, dlq_index_set_end(f->index, TOPIC, 0, 10, &f->err));
    check(f, dlq_index_set_end(f->index, TOPIC, 1, 0, &f->err));
    commit(f);
    check(f, dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    assert_false(covered.complete); /* how far the states reach nobody said */
    begin(f);
    check(f, dlq_index_set_end(f->index, "dlq-state.g", 0, 0, &f->err));
    commit(f);
    add(f, (struct made){.offset = 3, .at_ms = 10, .code = "x"});
    check(f, dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    assert_false(covered.complete);
    assert_int_equal(covered.rows_read, 4);
    assert_int_equal(covered.rows_total, 10);
    begin(f);
    check(f, dlq_index_skip(f->index, TOPIC, 0, DLQ_READ_ROWS, 10, &f->err));
    commit(f);
    check(f, dlq_index_count(f->index, &filter, 0, &count, &covered, &f->err));
    assert_true(covered.complete);
    check(f, dlq_index_count(f->index, &text, 0, &count, &covered, &f->err));
    assert_false(covered.complete);
    assert_int_equal(covered.text_read, 0);
    begin(f);
    check(f, dlq_index_skip(f->index, TOPIC, 0, DLQ_READ_TEXT, 10, &f->err));
    commit(f);
    check(f, dlq_index_count(f->index, &text, 0, &count, &covered, &f->err));
    assert_true(covered.complete);
    dlq_filter_deinit(&filter);
    dlq_filter_deinit(&text);
}

/* A console that has just begun must not say that nothing has failed. */
static void test_nothing_is_complete_before_the_first_look(void **state)
{
    (void)state;
    struct err err = {0};
    struct dlq_index *index = dlq_index_open(NULL, true, &err);
    struct dlq_filter filter = filter_of("");
    struct dlq_covered covered;
    uint64_t count = 7;

    assert_true(dlq_index_count(index, &filter, 0, &count, &covered, &err));
    assert_int_equal(count, 0);
    assert_false(covered.complete);
    for (int i = 0; i < 2; i++) {
        assert_true(dlq_index_begin(index, &err));
        assert_true(dlq_index_looked(index, &err));
        assert_true(dlq_index_commit(index, &err));
        assert_true(dlq_index_count(index, &filter, 0, &count, &covered, &err));
        assert_true(covered.complete);
    }
    dlq_filter_deinit(&filter);
    dlq_index_close(&index);
}

static void test_begin_after_a_failure_undoes_what_was_open(void **state)
{
    struct fixture *f = *state;
    int64_t position;
    begin(f);
    add_in(f, &(struct made){.offset = 1, .at_ms = 10, .code = "x"});
    begin(f);
    commit(f);
    assert_listed(f, "", 10, "");
    check(f, dlq_index_position(f->index, TOPIC, 0, DLQ_READ_ROWS, &position, &f->err));
    assert_int_equal(position, 0);
    add(f, (struct made){.offset = 1, .at_ms = 10, .code = "x"});
    assert_listed(f, "", 10, "1:open:x ");
    struct record rec = {.topic = SLICE_LIT(TOPIC)};
    struct dead_letter letter = {0};
    assert_false(dlq_index_add(f->index, &rec, &letter, &f->err));
    assert_int_equal(f->err.code, ERR_INTERNAL);
}

static void test_same_ms_for_more_letters_than_fit(void **state)
{
    struct fixture *f = *state;
    begin(f);
    for (int i = 0; i < 65540; i++)
        add_in(f, &(struct made){.offset = i, .at_ms = 0, .code = "x"});
    commit(f);
    struct one_group group = first_group(f, "");
    assert_int_equal(group.open, 65540);
    assert_int_equal(group.last_ms, 1);
}

static void test_cursor_that_nobody_gave_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"x",
                                        "b",
                                        "b000000000000000",
                                        "b000000000000000g",
                                        "bffffffffffffffff",
                                        "b0000000000000000 "};
    struct dlq_filter filter = filter_of("");
    struct dlq_covered covered;
    struct buf seen = {0};
    char next[DLQ_CURSOR_MAX];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(
            dlq_index_list(f->index, &filter, wrong[i], 1, on_row, &seen, next, &covered, &f->err));
        assert_int_equal(f->err.code, ERR_USAGE);
    }
    dlq_filter_deinit(&filter);
}

static void test_kinds_without_end_share_a_group(void **state)
{
    struct fixture *f = *state;
    begin(f);
    for (int i = 0; i < 5100; i++) {
        char code[32];
        snprintf(code, sizeof(code), "c%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
        add_in(f, &(struct made){.offset = i, .at_ms = i, .code = "x", .detail = code});
    }
    commit(f);
    struct one_group group = first_group(f, "");
    assert_int_equal(group.count, 5001);
    assert_int_equal(group.open, 100);
    assert_string_equal(group.title, "x: other kinds of failure");
}

/* ---- files ---- */

static void test_file_is_kept_between_writers(void **state)
{
    struct fixture *f = *state;
    add(f, (struct made){.offset = 1, .at_ms = 10, .code = "x"});
    open_again(f);
    assert_listed(f, "", 10, "1:open:x ");
    struct dlq_index *second = dlq_index_open(f->place.path, true, &f->err);
    assert_null(second);
    assert_int_equal(f->err.code, ERR_AGAIN);
    struct dlq_index *reader = dlq_index_open(f->place.path, false, &f->err);
    check(f, reader != NULL);
    dlq_index_close(&reader);
}

static void overwrite(const char *path, off_t at, size_t len)
{
    char junk[4096];
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    memset(junk, 0x5a, sizeof(junk));
    for (; len; len -= len < sizeof(junk) ? len : sizeof(junk), at += 4096)
        assert_true(pwrite(fd, junk, len < sizeof(junk) ? len : sizeof(junk), at) > 0);
    close(fd);
}

static void fill_some(struct fixture *f, int count)
{
    begin(f);
    for (int i = 0; i < count; i++)
        add_in(f, &(struct made){.offset = i, .at_ms = i, .key = "k", .code = "x"});
    commit(f);
}

static void test_file_cut_short_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    fill_some(f, 500);
    dlq_index_close(&f->index);
    assert_int_equal(truncate(f->place.path, 20000), 0);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_listed(f, "", 10, "");
    add(f, (struct made){.offset = 1, .at_ms = 10, .code = "x"});
    assert_listed(f, "", 10, "1:open:x ");
}

static void test_file_torn_at_once_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    struct stat file;
    fill_some(f, 500);
    dlq_index_close(&f->index);
    assert_int_equal(stat(f->place.path, &file), 0);
    overwrite(f->place.path, 8192, (size_t)file.st_size - 8192);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_listed(f, "", 10, "");
}

static void test_file_torn_within_is_noticed_and_removed(void **state)
{
    struct fixture *f = *state;
    struct stat file;
    struct dlq_filter filter = filter_of("");
    struct dlq_covered covered;
    struct buf seen = {0};
    char next[DLQ_CURSOR_MAX];
    fill_some(f, 5000);
    dlq_index_close(&f->index);
    assert_int_equal(stat(f->place.path, &file), 0);
    size_t half = (size_t)file.st_size / 8192 * 4096;
    overwrite(f->place.path, (off_t)half, (size_t)file.st_size - half);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL); /* the first half says nothing of it */
    assert_false(
        dlq_index_list(f->index, &filter, "", 5000, on_row, &seen, next, &covered, &f->err));
    assert_int_equal(f->err.code, ERR_IO);
    assert_true(f->err.fatal);
    assert_non_null(strstr(f->err.text, "start again"));
    open_again(f);
    assert_listed(f, "", 10, "");
    buf_deinit(&seen);
    dlq_filter_deinit(&filter);
}

/* As a machine leaves it that lost its power. */
static void lose_power(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE meta SET value = 0 WHERE name = 'clean';"
                                  "UPDATE meta SET text = 'another' WHERE name = 'boot'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static void test_file_of_another_boot_is_checked_first(void **state)
{
    struct fixture *f = *state;
    struct stat file;
    fill_some(f, 5000);
    dlq_index_close(&f->index);
    lose_power(f->place.path);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_int_equal(first_group(f, "").open, 5000);
    dlq_index_close(&f->index);
    lose_power(f->place.path);
    assert_int_equal(stat(f->place.path, &file), 0);
    overwrite(f->place.path, file.st_size / 8192 * 4096, 8192);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_listed(f, "", 10, "");
}

static void test_reader_of_a_file_made_anew_is_told(void **state)
{
    struct fixture *f = *state;
    struct dlq_filter filter = filter_of("");
    struct dlq_covered covered;
    uint64_t count;
    fill_some(f, 10);
    struct dlq_index *reader = dlq_index_open(f->place.path, false, &f->err);
    check(f, reader != NULL);
    check(f, dlq_index_count(reader, &filter, 0, &count, &covered, &f->err));
    assert_int_equal(count, 10);
    dlq_index_close(&f->index);
    assert_int_equal(unlink(f->place.path), 0);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_false(dlq_index_count(reader, &filter, 0, &count, &covered, &f->err));
    assert_int_equal(f->err.code, ERR_AGAIN);
    assert_true(f->err.fatal);
    dlq_index_close(&reader);
    dlq_filter_deinit(&filter);
}

static void test_file_of_another_schema_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    fill_some(f, 500);
    dlq_index_close(&f->index);
    int fd = open(f->place.path, O_RDWR);
    assert_int_equal(pwrite(fd, "\0\0\0\x63", 4, 60), 4); /* PRAGMA user_version */
    close(fd);
    struct dlq_index *reader = dlq_index_open(f->place.path, false, &f->err);
    assert_null(reader);
    assert_int_equal(f->err.code, ERR_IO);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    assert_listed(f, "", 10, "");
}

static void test_file_of_another_program_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char text[16] = "";
    dlq_index_close(&f->index);
    int fd = open(f->place.path, O_RDWR | O_TRUNC);
    assert_int_equal(write(fd, "my only copy", 12), 12);
    assert_null(dlq_index_open(f->place.path, true, &f->err));
    assert_int_equal(f->err.code, ERR_IO);
    assert_non_null(strstr(f->err.text, "left alone"));
    assert_int_equal(pread(fd, text, 12, 0), 12);
    assert_string_equal(text, "my only copy");
    close(fd);
}

static void test_open_without_file_or_directory_says_so(void **state)
{
    struct fixture *f = *state;
    assert_null(dlq_index_open("/tmp/og-no-such-directory/index", true, &f->err));
    assert_int_equal(f->err.code, ERR_IO);
    assert_non_null(strstr(f->err.text, "directory"));
    assert_null(dlq_index_open("/tmp/og-no-such-index", false, &f->err));
    assert_int_equal(f->err.code, ERR_NO_FILE);
    assert_true(f->err.retriable);
}

static void test_full_disk_says_so_and_goes_on_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    fill_some(f, 500);
    /* SQLite answers alike where the disk is full and where it may not grow. */
    assert_int_equal(sqlite3_exec(f->index->db, "PRAGMA max_page_count=1", NULL, NULL, NULL), 0);
    bool ok = true;
    begin(f);
    for (int i = 1000; ok && i < 3000; i++) {
        struct made m = {.offset = i, .at_ms = i, .code = "x"};
        struct record rec = record_of(&m);
        struct dead_letter letter = {.code = slice_of("x")};
        ok = dlq_index_add(f->index, &rec, &letter, &f->err);
    }
    assert_false(ok);
    assert_int_equal(f->err.code, ERR_IO);
    assert_false(f->err.fatal);
    assert_non_null(strstr(f->err.text, "make room"));
    assert_false(dlq_index_commit(f->index, &f->err));
    sqlite3_exec(f->index->db, "PRAGMA max_page_count=1000000", NULL, NULL, NULL);
    add(f, (struct made){.offset = 1000, .at_ms = 1000, .code = "x"});
    assert_int_equal(first_group(f, "").open, 501);
}

static void test_in_memory_needs_no_file(void **state)
{
    struct fixture *f = *state;
    struct dlq_index *kept = f->index;
    f->index = dlq_index_open(NULL, true, &f->err);
    check(f, f->index != NULL);
    add_text(f, (struct made){.offset = 1, .at_ms = 10, .value = "green", .code = "x"});
    assert_listed(f, "text=green", 10, "1:open:x ");
    dlq_index_close(&f->index);
    f->index = kept;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_of_each_filter_takes_its_lines),
        TEST(test_add_twice_changes_nothing),
        TEST(test_state_before_and_after_its_letter),
        TEST(test_continued_letter_opens_its_line_again),
        TEST(test_continued_letter_before_its_first),
        TEST(test_get_says_all_of_a_line),
        TEST(test_groups_count_lines_keys_and_hours),
        TEST(test_trim_takes_rows_and_counts_along),
        TEST(test_topic_made_again_drops_its_rows),
        TEST(test_text_is_searched_by_words),
        TEST(test_prefix_of_few_and_of_many_words),
        TEST(test_prefix_pages_grow_with_its_words),
        TEST(test_page_of_a_key_stops_short_and_goes_on),
        TEST(test_text_of_rows_that_are_gone_finds_nothing),
        TEST(test_words_without_an_index_find_the_same),
        TEST(test_covered_says_how_far_it_is),
        cmocka_unit_test(test_nothing_is_complete_before_the_first_look),
        TEST(test_begin_after_a_failure_undoes_what_was_open),
        TEST(test_same_ms_for_more_letters_than_fit),
        TEST(test_cursor_that_nobody_gave_is_refused),
        TEST(test_kinds_without_end_share_a_group),
        TEST(test_file_is_kept_between_writers),
        TEST(test_file_cut_short_is_begun_anew),
        TEST(test_file_torn_at_once_is_begun_anew),
        TEST(test_file_torn_within_is_noticed_and_removed),
        TEST(test_file_of_another_boot_is_checked_first),
        TEST(test_reader_of_a_file_made_anew_is_told),
        TEST(test_file_of_another_schema_is_begun_anew),
        TEST(test_file_of_another_program_is_left_alone),
        TEST(test_open_without_file_or_directory_says_so),
        TEST(test_full_disk_says_so_and_goes_on_when_there_is_room),
        TEST(test_in_memory_needs_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
