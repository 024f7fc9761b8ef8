/*
 * The index of dead letters against a naive model: letters, continued letters, states and trims in
 * random order; lists, counts and groups must be the model's. The seed of a failure is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "dlq/index.h"

enum { TOPICS = 2, PARTITIONS = 2, OFFSETS = 40, KEYS = 5, ROUTES = 2, CODES = 3, WORDS = 4 };
enum { LETTERS = TOPICS * PARTITIONS * OFFSETS, ROUNDS = 40, STEPS = 400 };

#define T0      INT64_C(1767323045000)
#define HOUR_MS INT64_C(3600000)

static const char *const topics[TOPICS] = {"dlq.g.a", "dlq.g.b"};
static const char *const uuids[TOPICS] = {"uuidofatopicnamedaAAAA", "uuidofatopicnamedbBBBB"};
static const char *const routes[ROUTES] = {"r0", "r1"};
static const char *const codes[CODES] = {"http-500", "http-404", "timeout"};
static const int statuses[CODES] = {500, 404, 0};

struct letter {
    int topic, partition, key, route, code, word; /* key -1: null */
    int64_t offset, ms;
    uint32_t attempts, redrive_count;
    int first; /* the letter that it continues, or -1 */
    bool present;
};

struct model {
    struct letter letters[LETTERS];
    struct letter_state states[LETTERS]; /* LETTER_FORGOTTEN: none */
    char redrive_ids[LETTERS][8];
    int64_t begin[TOPICS][PARTITIONS];
    int64_t state_offset, now_ms;
    uint64_t seed;
    struct dlq_index *index;
    struct err err;
};

static uint64_t rnd(struct model *m)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return m->seed >> 11;
}

static int pick(struct model *m, int count)
{
    return (int)(rnd(m) % (uint64_t)count);
}

static void check(struct model *m, bool ok)
{
    if (!ok)
        fail_msg("seed %" PRIu64 ": %s", m->seed, m->err.text);
}

static void set_up(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof(*m));
    m->seed = seed;
    m->index = dlq_index_open(NULL, true, &m->err);
    check(m, m->index != NULL);
    check(m, dlq_index_begin(m->index, &m->err));
    for (int t = 0; t < TOPICS; t++)
        check(m, dlq_index_topic(m->index, DLQ_LETTERS, topics[t], uuids[t], PARTITIONS, &m->err));
    check(m, dlq_index_topic(m->index, DLQ_STATES, "dlq-state.g", "", 1, &m->err));
    check(m, dlq_index_commit(m->index, &m->err));
    for (int i = 0; i < LETTERS; i++) {
        struct letter *l = &m->letters[i];
        /* What is continued stands below, so the first came first; each has a ms of its own. */
        *l = (struct letter){.topic = i % TOPICS,
                             .partition = i / TOPICS % PARTITIONS,
                             .offset = i / TOPICS / PARTITIONS,
                             .ms = T0 + i * 600000 + pick(m, 600000),
                             .key = pick(m, KEYS + 1) - 1,
                             .route = pick(m, ROUTES),
                             .code = pick(m, CODES),
                             .word = pick(m, WORDS),
                             .attempts = (uint32_t)pick(m, 5),
                             .first = -1};
        int first = i > 8 && pick(m, 3) == 0 ? pick(m, i) : -1;
        if (first >= 0 && m->letters[first].first < 0) {
            l->first = first;
            l->redrive_count = (uint32_t)pick(m, 3) + 1;
        }
    }
}

static struct record record_of(const struct letter *l, char text[32])
{
    static const char *const keys[KEYS] = {"k0", "k1", "k2", "k3", ""};
    snprintf(text, 32, "word%d", l->word);
    return (struct record){.topic = slice_of(topics[l->topic]),
                           .partition = l->partition,
                           .offset = l->offset,
                           .timestamp_ms = l->ms,
                           .key = slice_of(l->key < 0 ? NULL : keys[l->key]),
                           .value = slice_of(text)};
}

static void write_id(const struct letter *l, struct buf *out)
{
    letter_id_write(out, &(struct letter_id){slice_of(uuids[l->topic]), l->partition, l->offset});
}

/* Of one signature all, and each its own. */
static void write_detail(const struct letter *l, char out[64])
{
    snprintf(out, 64, "it failed at %d:%d:%" PRId64, l->topic, l->partition, l->offset);
}

static void add(struct model *m, struct letter *l)
{
    char text[32], detail[64];
    struct record rec = record_of(l, text);
    write_detail(l, detail);
    struct dead_letter letter = {.route = slice_of(routes[l->route]),
                                 .code = slice_of(codes[l->code]),
                                 .detail = slice_of(detail),
                                 .http_status = statuses[l->code],
                                 .attempts = l->attempts,
                                 .redrive_count = l->redrive_count};
    struct buf first = {0};
    if (l->first >= 0) {
        write_id(&m->letters[l->first], &first);
        letter.first_letter = buf_slice(&first);
    }
    headers_signature(letter.route, letter.code, letter.detail, letter.signature);
    check(m, dlq_index_add(m->index, &rec, &letter, &m->err));
    buf_deinit(&first);
    l->present = l->present || l->offset >= m->begin[l->topic][l->partition];
}

static void add_state(struct model *m, int at)
{
    const struct letter *l = &m->letters[at];
    struct letter_state *stands = &m->states[at];
    char redrive[8];
    snprintf(redrive, sizeof(redrive), "j%d", pick(m, 2));
    struct letter_state state = {.status = (enum letter_status)pick(m, LETTER_STATUSES),
                                 .redrive_count = (uint32_t)pick(m, 4),
                                 .redrive_id = slice_of(redrive),
                                 .at_ms = T0 + pick(m, LETTERS) * INT64_C(600000)};
    if (state.status == LETTER_RESOLVED)
        state.result = LETTER_RESULT_RESOLVED;
    struct letter_id id = {slice_of(uuids[l->topic]), l->partition, l->offset};
    struct record rec = {.topic = SLICE_LIT("dlq-state.g"), .offset = m->state_offset++};
    check(m, dlq_index_add_state(m->index, &rec, &id, &state, &m->err));
    if (state.status != LETTER_FORGOTTEN && stands->status != LETTER_FORGOTTEN &&
        !letter_state_replaces(&state, stands))
        return;
    *stands = state;
    memcpy(m->redrive_ids[at], redrive, sizeof(redrive));
    stands->redrive_id = slice_of(m->redrive_ids[at]);
}

static void trim(struct model *m)
{
    int topic = pick(m, TOPICS), partition = pick(m, PARTITIONS);
    int64_t *begin = &m->begin[topic][partition];
    uint64_t gone, expected = 0;
    *begin += pick(m, 3);
    for (int i = 0; i < LETTERS; i++) {
        struct letter *l = &m->letters[i];
        if (l->present && l->topic == topic && l->partition == partition && l->offset < *begin) {
            l->present = false;
            expected++;
        }
    }
    check(m, dlq_index_trim(m->index, topics[topic], partition, *begin, &gone, &m->err));
    assert_int_equal(gone, expected);
}

/* ---- what must be seen ---- */

struct line {
    const struct letter *head, *newest;
    uint32_t attempts;
    unsigned state;
    unsigned words; /* bits */
};

static unsigned state_of(const struct letter_state *state, const struct letter *newest)
{
    bool back = newest->redrive_count > 0;
    bool later = newest->ms > state->at_ms;
    if (state->status == LETTER_ARCHIVED)
        return back && newest->redrive_count > state->redrive_count && later ? DLQ_STATE_OPEN
                                                                             : DLQ_STATE_ARCHIVED;
    if (state->status == LETTER_REDRIVING)
        return back && newest->redrive_count >= state->redrive_count ? DLQ_STATE_OPEN
                                                                     : DLQ_STATE_REDRIVING;
    if (state->status == LETTER_RESOLVED)
        return back && (newest->redrive_count > state->redrive_count ||
                        (newest->redrive_count == state->redrive_count && later))
                   ? DLQ_STATE_OPEN
                   : DLQ_STATE_RESOLVED;
    return DLQ_STATE_OPEN;
}

static bool line_at(struct model *m, int first, struct line *out)
{
    memset(out, 0, sizeof(*out));
    if (m->letters[first].first >= 0)
        return false;
    for (int i = first; i < LETTERS; i++) {
        const struct letter *l = &m->letters[i];
        if (!l->present || (i != first && l->first != first))
            continue;
        if (!out->head)
            out->head = l;
        if (!out->newest || l->redrive_count >= out->newest->redrive_count)
            out->newest = l;
        out->attempts += l->attempts;
        if (out->head == l || out->head == &m->letters[first])
            out->words |= 1u << l->word;
    }
    if (out->head)
        out->state = state_of(&m->states[first], out->newest);
    return out->head != NULL;
}

static int newest_first(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return x->head->ms > y->head->ms ? -1 : 1;
}

static size_t all_lines(struct model *m, struct line *lines)
{
    size_t count = 0;
    for (int i = 0; i < LETTERS; i++)
        count += line_at(m, i, &lines[count]);
    qsort(lines, count, sizeof(*lines), newest_first);
    return count;
}

struct asked {
    int topic, route, code, key, word; /* -1: any */
    unsigned states;
    int64_t since_ms, until_ms;
};

static bool takes(const struct asked *asked, const struct line *line)
{
    const struct letter *head = line->head, *newest = line->newest;
    unsigned states = asked->states ? asked->states : DLQ_STATE_LIVE;
    return (line->state & states) && (asked->topic < 0 || newest->topic == asked->topic) &&
           (asked->route < 0 || newest->route == asked->route) &&
           (asked->code < 0 || newest->code == asked->code) &&
           (asked->key < 0 || head->key == asked->key) &&
           (asked->word < 0 || (line->words & (asked->word == WORDS ? ~0u : 1u << asked->word))) &&
           (!asked->since_ms || head->ms >= asked->since_ms) &&
           (!asked->until_ms || head->ms < asked->until_ms);
}

static struct asked anything(struct model *m, bool text)
{
    struct asked asked = {-1, -1, -1, -1, -1, 0, 0, 0};
    if (pick(m, 3) == 0)
        asked.topic = pick(m, TOPICS);
    if (pick(m, 3) == 0)
        asked.route = pick(m, ROUTES);
    if (pick(m, 3) == 0)
        asked.code = pick(m, CODES);
    if (pick(m, 3) == 0)
        asked.key = pick(m, KEYS);
    if (text && pick(m, 2) == 0)
        asked.word = pick(m, WORDS + 1); /* the last: any of them, by a prefix */
    asked.states = (unsigned)pick(m, 16);
    if (pick(m, 3) == 0)
        asked.since_ms = T0 + pick(m, LETTERS) * INT64_C(600000);
    if (pick(m, 3) == 0)
        asked.until_ms = T0 + pick(m, LETTERS) * INT64_C(600000);
    return asked;
}

static struct dlq_filter filter_of(const struct asked *asked)
{
    static const char *const keys[KEYS] = {"k0", "k1", "k2", "k3", ""};
    static const char *const status[CODES] = {"5xx", "404", NULL};
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    filter.topic = mem_strdup(asked->topic < 0 ? NULL : topics[asked->topic]);
    filter.route = mem_strdup(asked->route < 0 ? NULL : routes[asked->route]);
    /* The code is asked for by itself, or by its status. */
    if (asked->code >= 0 && status[asked->code])
        assert_true(dlq_filter_set(&filter, "status", slice_of(status[asked->code]), 0, NULL));
    else if (asked->code >= 0)
        filter.code = mem_strdup(codes[asked->code]);
    if (asked->key >= 0)
        assert_true(dlq_filter_set(&filter, "key", slice_of(keys[asked->key]), 0, NULL));
    if (asked->word >= 0)
        filter.text = asked->word == WORDS ? mem_strdup("wor*") : mem_printf("WORD%d", asked->word);
    filter.states = asked->states;
    filter.since_ms = asked->since_ms;
    filter.until_ms = asked->until_ms;
    return filter;
}

static void write_line(struct buf *out, const char *topic, int partition, int64_t offset,
                       unsigned state, const char *code, uint32_t attempts, const char *latest)
{
    buf_printf(out, "%s/%d/%" PRId64 " %u %s %u %s\n", topic, partition, offset, state, code,
               attempts, latest);
}

static bool on_row(void *arg, const struct dlq_row *row)
{
    write_line(arg, row->topic, row->partition, row->offset, row->state, row->code, row->attempts,
               row->latest);
    return true;
}

static void compare_list(struct model *m, const struct asked *asked)
{
    static struct line lines[LETTERS];
    struct buf expected = {0}, seen = {0};
    struct dlq_filter filter = filter_of(asked);
    struct dlq_covered covered;
    char next[DLQ_CURSOR_MAX] = "", cursor[DLQ_CURSOR_MAX];
    size_t count = all_lines(m, lines), limit = (size_t)pick(m, 20) + 1;
    uint64_t taken = 0, counted;
    buf_add_text(&expected, "");
    buf_add_text(&seen, "");
    for (size_t i = 0; i < count; i++) {
        char latest[64];
        const struct letter *head = lines[i].head, *newest = lines[i].newest;
        if (!takes(asked, &lines[i]))
            continue;
        taken++;
        snprintf(latest, sizeof(latest), "%s/%d/%" PRId64, topics[newest->topic], newest->partition,
                 newest->offset);
        write_line(&expected, topics[head->topic], head->partition, head->offset, lines[i].state,
                   codes[newest->code], lines[i].attempts, latest);
    }
    do {
        memcpy(cursor, next, sizeof(cursor));
        check(m, dlq_index_list(m->index, &filter, cursor, limit, on_row, &seen, next, &covered,
                                &m->err));
    } while (next[0]);
    if (strcmp(seen.data, expected.data) != 0)
        fail_msg("seed %" PRIu64 ": seen\n%s\nexpected\n%s", m->seed, seen.data, expected.data);
    check(m, dlq_index_count(m->index, &filter, 0, &counted, &covered, &m->err));
    assert_int_equal(counted, taken);
    buf_deinit(&expected);
    buf_deinit(&seen);
    dlq_filter_deinit(&filter);
}

/* ---- groups ---- */

static void write_group(struct buf *out, const struct dlq_group *group)
{
    buf_printf(out, "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, group->route, group->code,
               group->open, group->redriving, group->resolved, group->archived);
    buf_printf(out, " keys %" PRIu64 " attempts %" PRIu64 " of %" PRIu64 " %" PRId64 "-%" PRId64,
               group->keys, group->attempts, group->letters, group->first_ms, group->last_ms);
    buf_printf(out, " %s %s %d ", group->example, group->example_detail, group->http_status);
    for (int i = 0; i < DLQ_SPARK; i++) {
        if (group->spark[i])
            buf_printf(out, " %" PRId64 "h:%u",
                       (group->spark_end_ms / group->spark_unit_ms - DLQ_SPARK + i),
                       group->spark[i]);
    }
    buf_add_char(out, '\n');
}

struct seen_groups {
    struct buf text[ROUTES][CODES];
};

static bool on_group(void *arg, const struct dlq_group *group)
{
    struct seen_groups *seen = arg;
    for (int r = 0; r < ROUTES; r++) {
        for (int c = 0; c < CODES; c++) {
            if (strcmp(group->route, routes[r]) == 0 && strcmp(group->code, codes[c]) == 0)
                write_group(&seen->text[r][c], group);
        }
    }
    return true;
}

/* Of the newest line of the group: its first letter, and what the newest failed with. */
static void expect_example(const struct line *line, struct dlq_group *group, char id[64],
                           char detail[64])
{
    snprintf(id, 64, "%s/%d/%" PRId64, topics[line->head->topic], line->head->partition,
             line->head->offset);
    write_detail(line->newest, detail);
    group->last_ms = line->head->ms;
}

static void expect_group(struct model *m, int route, int code, struct buf *out)
{
    static struct line lines[LETTERS];
    size_t count = all_lines(m, lines);
    bool key_seen[TOPICS][KEYS] = {{false}};
    char id[64] = "", detail[64] = "";
    int64_t end = (m->now_ms - 1) / HOUR_MS + 1;
    struct dlq_group group = {.route = routes[route],
                              .code = codes[code],
                              .example = id,
                              .example_detail = detail,
                              .http_status = statuses[code],
                              .spark_unit_ms = HOUR_MS,
                              .spark_end_ms = end * HOUR_MS};
    uint64_t *const states[4] = {&group.open, &group.redriving, &group.resolved, &group.archived};
    for (size_t i = 0; i < count; i++) {
        const struct letter *head = lines[i].head, *newest = lines[i].newest;
        if (newest->route != route || newest->code != code)
            continue;
        for (int s = 0; s < 4; s++)
            *states[s] += lines[i].state == 1u << s;
        group.attempts += lines[i].attempts;
        if (group.letters++ == 0) /* lines are in order */
            expect_example(&lines[i], &group, id, detail);
        group.first_ms = head->ms;
        if (head->ms / HOUR_MS >= end - DLQ_SPARK && head->ms / HOUR_MS < end)
            group.spark[head->ms / HOUR_MS - end + DLQ_SPARK]++;
        if (head->key >= 0 && (lines[i].state & DLQ_STATE_LIVE) &&
            !key_seen[newest->topic][head->key]) {
            key_seen[newest->topic][head->key] = true;
            group.keys++;
        }
    }
    if (group.letters)
        write_group(out, &group);
}

static void compare_groups(struct model *m)
{
    struct seen_groups seen = {0};
    struct dlq_filter filter;
    struct dlq_covered covered;
    dlq_filter_init(&filter);
    filter.states = DLQ_STATE_ANY;
    /* Some letters may be older than what a sparkline shows, or newer. */
    m->now_ms = T0 + pick(m, 75) * HOUR_MS + HOUR_MS / 3;
    check(m, dlq_index_groups(m->index, &filter, m->now_ms, on_group, &seen, &covered, &m->err));
    for (int r = 0; r < ROUTES; r++) {
        for (int c = 0; c < CODES; c++) {
            struct buf expected = {0};
            buf_add_text(&expected, "");
            buf_add_text(&seen.text[r][c], "");
            expect_group(m, r, c, &expected);
            if (strcmp(seen.text[r][c].data, expected.data) != 0)
                fail_msg("seed %" PRIu64 ": group %sis expected as %s", m->seed,
                         seen.text[r][c].data, expected.data);
            buf_deinit(&expected);
            buf_deinit(&seen.text[r][c]);
        }
    }
    dlq_filter_deinit(&filter);
}

/* ---- a run ---- */

static void step(struct model *m)
{
    int what = pick(m, 20);
    if (what < 12)
        add(m, &m->letters[pick(m, LETTERS)]);
    else if (what < 19)
        add_state(m, pick(m, LETTERS));
    else
        trim(m);
}

static void add_words(struct model *m)
{
    check(m, dlq_index_begin(m->index, &m->err));
    for (int i = 0; i < LETTERS; i++) {
        char text[32];
        struct record rec = record_of(&m->letters[i], text);
        if (m->letters[i].present)
            check(m, dlq_index_add_text(m->index, &rec, &m->err));
        if (pick(m, 30) == 0) {
            check(m, dlq_index_commit(m->index, &m->err));
            check(m, dlq_index_begin(m->index, &m->err));
        }
    }
    check(m, dlq_index_commit(m->index, &m->err));
}

static void test_index_of_random_events_is_the_models(void **state)
{
    static struct model m;
    (void)state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        set_up(&m, round * UINT64_C(0x9e3779b97f4a7c15));
        for (int i = 0; i < STEPS;) {
            check(&m, dlq_index_begin(m.index, &m.err));
            for (int end = i + 1 + pick(&m, 30); i < end; i++)
                step(&m);
            check(&m, dlq_index_commit(m.index, &m.err));
            for (int asks = 0; asks < 4; asks++) {
                struct asked asked = anything(&m, false);
                compare_list(&m, &asked);
            }
            compare_groups(&m);
        }
        add_words(&m);
        for (int asks = 0; asks < 20; asks++) {
            struct asked asked = anything(&m, true);
            compare_list(&m, &asked);
        }
        dlq_index_close(&m.index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_of_random_events_is_the_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
