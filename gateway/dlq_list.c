/* oncegate dlq groups | list: what fails, and each dead letter. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "dlq_row_json.h"
#include "dlq_view.h"
#include "table.h"
#include "text_out.h"

#define LIMIT       50
#define SPARK       16
#define SPARK_LEAST 60000 /* ms of a bucket, at least */

static int print_text(const struct buf *out)
{
    return fwrite(out->data ? out->data : "", 1, out->len, stdout) == out->len ? EXIT_OK
                                                                               : EXIT_FAIL;
}

static int print_table(struct dlq *dlq, const struct table *table)
{
    struct buf out = {0};
    int code;
    if (table_rows(table) == 0)
        fputs("no dead letters\n", stderr);
    table_write(table, text_columns(), dlq->cli->color, &out);
    code = print_text(&out);
    buf_deinit(&out);
    return code;
}

/* ---- groups ---- */

struct group {
    const struct letter_row *example; /* the newest */
    uint64_t states[4];               /* open redriving resolved archived */
    uint64_t attempts, keys;
    uint64_t *key_hashes;
    size_t key_count, key_cap;
    int64_t first_ms, last_ms;
    uint32_t spark[SPARK];
};
struct groups {
    struct group *items;
    size_t count;
    int64_t begin_ms, unit_ms; /* of the sparklines */
};

static struct group *group_of(struct groups *groups, const struct letter_row *row)
{
    for (size_t i = 0; i < groups->count; i++) {
        if (strcmp(groups->items[i].example->signature, row->signature) == 0)
            return &groups->items[i];
    }
    if ((groups->count & (groups->count - 1)) == 0)
        groups->items = mem_realloc(groups->items, (2 * groups->count + 1) * sizeof(struct group));
    groups->items[groups->count] = (struct group){
        .example = row, .first_ms = row->written_ms, .last_ms = row->written_ms};
    return &groups->items[groups->count++];
}

static void count_key(struct group *group, const struct letter_row *row)
{
    if (!row->key)
        return;
    if (group->key_count == group->key_cap) {
        group->key_cap = group->key_cap ? 2 * group->key_cap : 16;
        group->key_hashes = mem_realloc(group->key_hashes,
                                        group->key_cap * sizeof(*group->key_hashes));
    }
    group->key_hashes[group->key_count++] = row->key_hash;
}

static void count_row(struct groups *groups, const struct letter_row *row)
{
    struct group *group = group_of(groups, row);
    int64_t bucket = (row->written_ms - groups->begin_ms) / groups->unit_ms;
    for (size_t bit = 0; bit < 4; bit++)
        group->states[bit] += row->state >> bit & 1;
    group->attempts += row->attempts;
    if (row->written_ms < group->first_ms)
        group->first_ms = row->written_ms;
    if (row->written_ms > group->last_ms)
        group->last_ms = row->written_ms;
    if (bucket >= 0)
        group->spark[bucket < SPARK ? bucket : SPARK - 1]++;
    if (row->state & DLQ_STATE_LIVE)
        count_key(group, row);
}

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static int most_first(const void *left, const void *right)
{
    const struct group *a = left, *b = right;
    uint64_t live_a = a->states[0] + a->states[1], live_b = b->states[0] + b->states[1];
    if (live_a != live_b)
        return live_a < live_b ? 1 : -1;
    return a->last_ms < b->last_ms ? 1 : a->last_ms > b->last_ms ? -1 : 0;
}

/* Groups with at least one letter in a state that the filter takes; all their letters are counted.
 */
static void make_groups(struct groups *groups, const struct dlq_view *view)
{
    int64_t now_ms = clock_wall_ms();
    groups->begin_ms = now_ms;
    for (size_t i = 0; i < view->count; i++) {
        if (view->rows[i]->written_ms < groups->begin_ms)
            groups->begin_ms = view->rows[i]->written_ms;
    }
    groups->unit_ms = (now_ms - groups->begin_ms) / SPARK + 1;
    if (groups->unit_ms < SPARK_LEAST) {
        groups->unit_ms = SPARK_LEAST;
        groups->begin_ms = now_ms - SPARK * SPARK_LEAST;
    }
    for (size_t i = 0; i < view->count; i++)
        count_row(groups, view->rows[i]);
    for (size_t i = 0; i < groups->count; i++) {
        struct group *group = &groups->items[i];
        if (group->key_count > 0)
            qsort(group->key_hashes, group->key_count, sizeof(uint64_t), compare_hashes);
        for (size_t k = 0; k < group->key_count; k++)
            group->keys += k == 0 || group->key_hashes[k] != group->key_hashes[k - 1];
    }
    if (groups->count > 0)
        qsort(groups->items, groups->count, sizeof(struct group), most_first);
}

static bool is_shown(const struct group *group, unsigned states)
{
    for (size_t bit = 0; bit < 4; bit++) {
        if (group->states[bit] > 0 && (states >> bit & 1))
            return true;
    }
    return false;
}

static struct json_object *group_json(const struct groups *groups, const struct group *group)
{
    static const char *const names[] = {"open", "redriving", "resolved", "archived"};
    const struct letter_row *row = group->example;
    struct json_object *object = json_object_new_object(), *spark = json_object_new_array();
    uint64_t all = 0;
    struct buf id = {0};
    json_add_text(object, "signature", row->signature);
    json_add_text(object, "route", row->route);
    json_add_text(object, "code", row->code);
    json_add_int(object, "http_status", row->http_status);
    for (size_t bit = 0; bit < 4; bit++) {
        json_add_uint(object, names[bit], group->states[bit]);
        all += group->states[bit];
    }
    json_add_uint(object, "keys", group->keys);
    json_object_object_add(object, "attempts_mean",
                           json_object_new_double((double)group->attempts / (double)all));
    json_add_time(object, "first", group->first_ms);
    json_add_time(object, "last", group->last_ms);
    for (size_t i = 0; i < SPARK; i++)
        json_object_array_add(spark, json_object_new_int64(group->spark[i]));
    json_object_object_add(object, "trend", spark);
    json_add_time(object, "trend_from", groups->begin_ms);
    json_add_int(object, "trend_unit_ms", groups->unit_ms);
    dlq_row_id(row, &id);
    json_add_text(object, "example", id.data);
    json_add_bytes(object, "example_detail", slice_of(row->detail));
    buf_deinit(&id);
    return object;
}

static void add_spark(struct table *table, const struct group *group)
{
    static const char *const bars[] = {" ",
                                       "\xe2\x96\x81",
                                       "\xe2\x96\x82",
                                       "\xe2\x96\x83",
                                       "\xe2\x96\x84",
                                       "\xe2\x96\x85",
                                       "\xe2\x96\x86",
                                       "\xe2\x96\x87",
                                       "\xe2\x96\x88"};
    struct buf text = {0};
    uint32_t most = 1;
    for (size_t i = 0; i < SPARK; i++) {
        if (group->spark[i] > most)
            most = group->spark[i];
    }
    for (size_t i = 0; i < SPARK; i++)
        buf_add_text(&text, bars[group->spark[i] ? 1 + (uint64_t)group->spark[i] * 7 / most : 0]);
    table_cell(table, buf_slice(&text));
    buf_deinit(&text);
}

static int groups_table(struct dlq *dlq, const struct groups *groups, unsigned states)
{
    struct table *table = table_new();
    int code;
    table_column(table, "SIGNATURE", TABLE_LEFT, false);
    table_column(table, "OPEN", TABLE_RIGHT, false);
    table_column(table, "KEYS", TABLE_RIGHT, false);
    table_column(table, "TREND", TABLE_LEFT, false);
    table_column(table, "FIRST", TABLE_LEFT, false);
    table_column(table, "LAST", TABLE_LEFT, false);
    table_column(table, "ROUTE", TABLE_LEFT, true);
    table_column(table, "CODE", TABLE_LEFT, true);
    table_column(table, "FOR EXAMPLE", TABLE_LEFT, true);
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = &groups->items[i];
        char time[TEXT_TIME_MAX];
        if (!is_shown(group, states))
            continue;
        table_cell_text(table, group->example->signature);
        table_tone(table, group->states[0] > 0 ? "31" : NULL);
        table_cell_number(table, group->states[0]);
        table_cell_number(table, group->keys);
        add_spark(table, group);
        text_time_short(group->first_ms, time);
        table_cell_text(table, time);
        text_time_short(group->last_ms, time);
        table_cell_text(table, time);
        table_cell_text(table, group->example->route);
        table_cell_text(table, group->example->code);
        table_cell_text(table, group->example->detail);
    }
    code = print_table(dlq, table);
    table_free(&table);
    return code;
}

static int groups_json(struct dlq *dlq, const struct groups *groups, unsigned states)
{
    struct json_object *list = json_object_new_array();
    bool ok = true;
    for (size_t i = 0; i < groups->count; i++) {
        if (is_shown(&groups->items[i], states))
            json_object_array_add(list, group_json(groups, &groups->items[i]));
    }
    for (size_t i = 0; dlq->output == OUTPUT_JSONL && i < json_object_array_length(list); i++)
        ok = json_print(json_object_array_get_idx(list, i), false) && ok;
    if (dlq->output == OUTPUT_JSON)
        ok = json_print(list, true);
    json_object_put(list);
    return ok ? EXIT_OK : EXIT_FAIL;
}

int dlq_groups(struct dlq *dlq)
{
    struct dlq_filter filter;
    struct dlq_view view = {0};
    struct groups groups = {0};
    struct err err = {0};
    int code;
    if (!dlq_filter_of(dlq, &filter, &err))
        return cli_usage("dlq groups", "%s", err.text);
    if (dlq_view_read(&view, dlq, &filter, &err)) {
        make_groups(&groups, &view);
        code = dlq->output == OUTPUT_TABLE ? groups_table(dlq, &groups, dlq_filter_states(&filter))
                                           : groups_json(dlq, &groups, dlq_filter_states(&filter));
    } else {
        code = cli_fail(&err);
    }
    for (size_t i = 0; i < groups.count; i++)
        mem_free(groups.items[i].key_hashes);
    mem_free(groups.items);
    dlq_view_free(&view);
    dlq_filter_deinit(&filter);
    return code;
}

/* ---- list ---- */

/* A cursor is the place of the last row: "<ms>~<topic>/<partition>/<offset>". It stays good
 * whatever is written or resolved meanwhile. */
struct cursor {
    bool set;
    int64_t ms;
    struct dlq_id id;
};

static bool read_cursor(const char *text, struct cursor *cursor, struct err *err)
{
    const char *tilde = text ? strchr(text, '~') : NULL;
    if (!text)
        return true;
    if (!tilde || !str_to_i64((struct slice){text, (size_t)(tilde - text)}, &cursor->ms) ||
        !dlq_id_parse(slice_of(tilde + 1), &cursor->id, err))
        return err_set(err, ERR_USAGE, "--after takes what a page before said, not %s", text);
    cursor->set = true;
    return true;
}

static bool is_after(const struct cursor *cursor, const struct letter_row *row)
{
    int order;
    if (!cursor->set || row->written_ms != cursor->ms)
        return !cursor->set || row->written_ms < cursor->ms;
    order = strcmp(row->topic->name, cursor->id.topic);
    if (order != 0)
        return order > 0;
    if (row->partition != cursor->id.partition)
        return row->partition > cursor->id.partition;
    return row->offset < cursor->id.offset;
}

static void list_row(struct table *table, const struct letter_row *row)
{
    char time[TEXT_TIME_MAX];
    struct buf text = {0};
    dlq_row_id(row, &text);
    table_cell(table, buf_slice(&text));
    text_time_short(row->last_failed_ms, time);
    table_cell_text(table, time);
    table_tone(table, row->state == DLQ_STATE_OPEN ? "31" : "32");
    table_cell_text(table, dlq_state_name(row->state));
    table_cell_text(table, row->route);
    table_cell_text(table, row->code);
    table_cell_number(table, row->attempts);
    buf_reset(&text);
    if (row->key)
        buf_add(&text, row->key, row->key_len);
    if (row->key_size > row->key_len)
        buf_printf(&text, " (%zu bytes)", row->key_size);
    table_cell(table, row->key ? buf_slice(&text) : SLICE_LIT("null"));
    buf_deinit(&text);
    table_cell_text(table, row->detail);
}

static int list_table(struct dlq *dlq, struct letter_row *const *rows, size_t count)
{
    struct table *table = table_new();
    int code;
    table_column(table, "ID", TABLE_LEFT, false);
    table_column(table, "LAST FAILED", TABLE_LEFT, false);
    table_column(table, "STATE", TABLE_LEFT, false);
    table_column(table, "ROUTE", TABLE_LEFT, true);
    table_column(table, "CODE", TABLE_LEFT, true);
    table_column(table, "ATTEMPTS", TABLE_RIGHT, false);
    table_column(table, "KEY", TABLE_LEFT, true);
    table_column(table, "DETAIL", TABLE_LEFT, true);
    for (size_t i = 0; i < count; i++)
        list_row(table, rows[i]);
    code = print_table(dlq, table);
    table_free(&table);
    return code;
}

static int list_json(struct dlq *dlq, struct letter_row *const *rows, size_t count,
                     const char *next, uint64_t read)
{
    struct json_object *list = json_object_new_array(), *answer = json_object_new_object();
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        json_object_array_add(list, dlq_row_json(rows[i]));
    for (size_t i = 0; dlq->output == OUTPUT_JSONL && i < count; i++)
        ok = json_print(json_object_array_get_idx(list, i), false) && ok;
    json_object_object_add(answer, "letters", list);
    json_add_text(answer, "next", next);
    json_add_uint(answer, "read", read);
    if (dlq->output == OUTPUT_JSON)
        ok = json_print(answer, true);
    json_object_put(answer);
    return ok ? EXIT_OK : EXIT_FAIL;
}

static int list_page(struct dlq *dlq, const struct dlq_view *view, const struct cursor *cursor,
                     uint64_t limit)
{
    struct letter_row **rows = mem_calloc(view->count + 1, sizeof(struct letter_row *));
    struct buf next = {0};
    size_t count = 0;
    bool more = false;
    int code;
    for (size_t i = 0; i < view->count && !more; i++) {
        struct letter_row *row = view->rows[i];
        if (!dlq_view_takes(view, row) || !is_after(cursor, row))
            continue;
        more = limit > 0 && count == limit;
        if (!more)
            rows[count++] = row;
    }
    if (more) {
        buf_printf(&next, "%" PRId64 "~", rows[count - 1]->written_ms);
        dlq_row_id(rows[count - 1], &next);
    }
    code = dlq->output == OUTPUT_TABLE
               ? list_table(dlq, rows, count)
               : list_json(dlq, rows, count, more ? next.data : NULL, view->read);
    if (more && dlq->output != OUTPUT_JSON)
        fprintf(stderr, "more: --after %s\n", next.data);
    buf_deinit(&next);
    mem_free(rows);
    return code;
}

int dlq_list(struct dlq *dlq)
{
    const char *after = cli_option(dlq->cli, "--after");
    struct dlq_filter filter;
    struct dlq_view view = {0};
    struct cursor cursor = {0};
    struct err err = {0};
    uint64_t limit;
    int code;
    if (!dlq_number(dlq, "--limit", LIMIT, 10000000, &limit))
        return EXIT_USAGE;
    if (!read_cursor(after, &cursor, &err))
        return cli_usage("dlq list", "%s", err.text);
    if (!dlq_filter_of(dlq, &filter, &err)) {
        dlq_id_deinit(&cursor.id);
        return cli_usage("dlq list", "%s", err.text);
    }
    code = dlq_view_read(&view, dlq, &filter, &err) ? list_page(dlq, &view, &cursor, limit)
                                                    : cli_fail(&err);
    dlq_view_free(&view);
    dlq_filter_deinit(&filter);
    dlq_id_deinit(&cursor.id);
    return code;
}
