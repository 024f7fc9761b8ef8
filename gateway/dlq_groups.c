/* oncegate dlq groups: what fails, since when, how many. */
#include <stdio.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd_dlq.h"
#include "console_letters.h"
#include "table.h"
#include "text_out.h"

#define BARS 16 /* of a sparkline in a table */

struct groups {
    struct dlq *dlq;
    struct table *table;      /* NULL: JSON */
    struct json_object *list; /* of OUTPUT_JSON */
    struct dlq_covered covered;
    bool ok;
};

static struct json_object *group_json(const struct dlq_group *group)
{
    struct json_object *object = json_object_new_object(), *trend = json_object_new_array();
    double letters = group->letters > 0 ? (double)group->letters : 1;
    json_add_text(object, "signature", group->signature);
    json_add_bytes(object, "route", slice_of(group->route));
    json_add_bytes(object, "code", slice_of(group->code));
    json_add_bytes(object, "title", slice_of(group->title));
    json_add_int(object, "http_status", group->http_status);
    json_add_uint(object, "open", group->open);
    json_add_uint(object, "redriving", group->redriving);
    json_add_uint(object, "resolved", group->resolved);
    json_add_uint(object, "archived", group->archived);
    json_add_uint(object, "keys", group->keys);
    json_object_object_add(object, "attempts_mean",
                           json_object_new_double((double)group->attempts / letters));
    json_add_time(object, "first", group->first_ms);
    json_add_time(object, "last", group->last_ms);
    for (size_t i = 0; i < DLQ_SPARK; i++)
        json_object_array_add(trend, json_object_new_int64(group->spark[i]));
    json_object_object_add(object, "trend", trend);
    json_add_time(object, "trend_from", group->spark_end_ms - DLQ_SPARK * group->spark_unit_ms);
    json_add_int(object, "trend_unit_ms", group->spark_unit_ms);
    json_add_text(object, "example", group->example);
    json_add_bytes(object, "example_detail", slice_of(group->example_detail));
    return object;
}

static void add_spark(struct table *table, const struct dlq_group *group)
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
    uint64_t counts[BARS] = {0}, most = 1;
    struct buf text = {0};
    for (size_t i = 0; i < DLQ_SPARK; i++)
        counts[i * BARS / DLQ_SPARK] += group->spark[i];
    for (size_t i = 0; i < BARS; i++)
        most = counts[i] > most ? counts[i] : most;
    for (size_t i = 0; i < BARS; i++)
        buf_add_text(&text, bars[counts[i] ? 1 + counts[i] * 7 / most : 0]);
    table_cell(table, buf_slice(&text));
    buf_deinit(&text);
}

static struct table *make_table(void)
{
    struct table *table = table_new();
    table_column(table, "SIGNATURE", TABLE_LEFT, false);
    table_column(table, "OPEN", TABLE_RIGHT, false);
    table_column(table, "KEYS", TABLE_RIGHT, false);
    table_column(table, "TREND", TABLE_LEFT, false);
    table_column(table, "FIRST", TABLE_LEFT, false);
    table_column(table, "LAST", TABLE_LEFT, false);
    table_column(table, "ROUTE", TABLE_LEFT, true);
    table_column(table, "CODE", TABLE_LEFT, true);
    table_column(table, "FOR EXAMPLE", TABLE_LEFT, true);
    return table;
}

static void group_row(struct table *table, const struct dlq_group *group)
{
    char time[TEXT_TIME_MAX];
    table_cell_text(table, group->signature);
    table_tone(table, group->open > 0 ? "31" : NULL);
    table_cell_number(table, group->open);
    table_cell_number(table, group->keys);
    add_spark(table, group);
    text_time_short(group->first_ms, time);
    table_cell_text(table, time);
    text_time_short(group->last_ms, time);
    table_cell_text(table, time);
    table_cell_text(table, group->route);
    table_cell_text(table, group->code);
    table_cell_text(table, group->example_detail);
}

static bool take_group(void *arg, const struct dlq_group *group)
{
    struct groups *groups = arg;
    struct json_object *object;
    if (groups->table) {
        group_row(groups->table, group);
        return true;
    }
    object = group_json(group);
    if (groups->list) {
        json_object_array_add(groups->list, object);
        return true;
    }
    groups->ok = json_print(object, false);
    json_object_put(object);
    return groups->ok;
}

static bool ask(struct groups *groups, const struct dlq_filter *filter, struct err *err)
{
    struct dlq_index *index;
    bool ok;
    if (groups->dlq->console)
        return console_groups(groups->dlq->console, filter, take_group, groups, &groups->covered,
                              err);
    index = dlq_read_letters(groups->dlq, filter, err);
    ok = index && dlq_index_groups(index, filter, clock_wall_ms(), take_group, groups,
                                   &groups->covered, err);
    dlq_index_close(&index);
    return ok;
}

static int print(struct groups *groups)
{
    dlq_say_covered(&groups->covered);
    if (groups->table)
        return dlq_print_table(groups->dlq, groups->table);
    if (groups->list)
        groups->ok = json_print(groups->list, true);
    return groups->ok ? EXIT_OK : EXIT_FAIL;
}

int dlq_groups(struct dlq *dlq)
{
    struct groups groups = {.dlq = dlq, .ok = true};
    struct dlq_filter filter;
    struct err err = {0};
    int code = EXIT_OK;
    if (dlq->output == OUTPUT_TABLE)
        groups.table = make_table();
    else if (dlq->output == OUTPUT_JSON)
        groups.list = json_object_new_array();
    if (dlq_filter_of(dlq, &filter, &code))
        code = ask(&groups, &filter, &err) ? print(&groups) : cli_fail(&err);
    table_free(&groups.table);
    json_object_put(groups.list);
    dlq_filter_deinit(&filter);
    return code;
}
