/* oncegate audit list: reads the audit topic of a group and prints it, the oldest entry first. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "console_ask.h"
#include "console_route.h"
#include "dlq/filter.h"
#include "dlq/redrive_scan.h"
#include "kafka/admin.h"
#include "kafka/reader.h"
#include "record/audit_entry.h"

#define CONSOLE_MOST 500 /* the most that the API gives at once */

struct auditing {
    struct cli *cli;
    const struct config *config;
    struct loop *loop;
    char *topic;
    const char *since; /* for a console; NULL: not given */
    int64_t since_ms;
    int32_t partitions;
    struct kafka_reader *reader;
    struct audit_entry *items;
    size_t count;
    bool done;
    struct err err;
};

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct auditing *audit = arg;
    audit->done = true;
    if (err)
        audit->err = *err;
    else if (count == 1 && topics[0].exists)
        audit->partitions = topics[0].partitions;
    else
        err_set(&audit->err, ERR_CONFIG, "there is no topic %s: oncegate topics apply creates it",
                audit->topic);
}

static void keep(struct auditing *audit, const struct record *rec)
{
    struct audit_entry entry = {0};
    struct err err = {0};
    if (!audit_entry_read(rec, &entry, &err))
        return; /* nobody's of ours */
    if (entry.at_ms < audit->since_ms) {
        audit_entry_deinit(&entry);
        return;
    }
    if ((audit->count & (audit->count - 1)) == 0)
        audit->items = mem_realloc(audit->items,
                                   (audit->count ? 2 * audit->count : 1) * sizeof(*audit->items));
    audit->items[audit->count++] = entry;
}

static void readable(void *arg)
{
    struct auditing *audit = arg;
    struct record rec;
    size_t range;
    for (;;) {
        switch (kafka_reader_take(audit->reader, &rec, &range, &audit->err)) {
        case KAFKA_READ_RECORD:
            keep(audit, &rec);
            break;
        case KAFKA_READ_EMPTY:
            return;
        case KAFKA_READ_END:
        case KAFKA_READ_FAILED:
            audit->done = true;
            return;
        }
    }
}

static void wait_done(struct auditing *audit)
{
    while (!audit->done)
        loop_turn(audit->loop, true);
    audit->done = false;
}

static bool read_all(struct auditing *audit, const char *group)
{
    struct kafka_admin *admin = kafka_admin_new(audit->loop, audit->config, &audit->err);
    const char *names[1] = {audit->topic};
    struct kafka_reader_range *ranges;
    if (!admin)
        return false;
    kafka_admin_describe(admin, names, 1, false, described, audit);
    wait_done(audit);
    kafka_admin_free(&admin);
    if (audit->err.code != ERR_NONE)
        return false;
    ranges = mem_calloc((size_t)audit->partitions, sizeof(*ranges));
    for (int32_t i = 0; i < audit->partitions; i++)
        ranges[i] = (struct kafka_reader_range){.topic = audit->topic, .partition = i};
    audit->reader = kafka_reader_new(audit->loop, audit->config, group, ranges,
                                     (size_t)audit->partitions, readable, audit, &audit->err);
    mem_free(ranges);
    if (audit->reader)
        wait_done(audit);
    kafka_reader_free(&audit->reader);
    return audit->err.code == ERR_NONE;
}

/* Texts of people as JSON strings: nothing of them drives a terminal. */
static void add_entry(const struct audit_entry *entry, struct buf *out)
{
    char at[STR_RFC3339_MAX];
    str_rfc3339_from_ms(entry->at_ms, at);
    buf_printf(out, "%s  ", at);
    buf_add_json(out, slice_of(entry->by));
    buf_add_text(out, "  ");
    buf_add_json(out, slice_of(entry->action));
    buf_add_text(out, "  ");
    buf_add_json(out, slice_of(entry->on));
    buf_add_text(out, "  ");
    buf_add_json(out, slice_of(entry->result));
    if (entry->reason) {
        buf_add_text(out, "  because ");
        buf_add_json(out, slice_of(entry->reason));
    }
    if (entry->details)
        buf_printf(out, "  %s", entry->details);
}

static void print(const struct auditing *audit)
{
    bool machine = audit->cli->output && strcmp(audit->cli->output, "table") != 0;
    struct buf out = {0};
    for (size_t i = 0; i < audit->count; i++) {
        if (machine)
            audit_entry_write(&out, &audit->items[i]);
        else
            add_entry(&audit->items[i], &out);
        buf_add_char(&out, '\n');
    }
    fwrite(out.data ? out.data : "", 1, out.len, stdout);
    buf_deinit(&out);
}

static const struct route_config *choose_route(struct auditing *audit)
{
    const char *name = cli_option(audit->cli, "--route");
    const char *group = cli_option(audit->cli, "--group");
    const struct route_config *route = name    ? config_find_route(audit->config, name)
                                       : group ? redrive_group_route(audit->config, group)
                                               : &audit->config->routes[0];
    if (!route)
        err_set(&audit->err, ERR_USAGE, "no such %s: %s", name ? "route" : "group",
                name ? name : group);
    for (size_t i = 0; route && !name && !group && i < audit->config->route_count; i++) {
        if (strcmp(audit->config->routes[i].group, route->group) == 0)
            continue;
        err_set(&audit->err, ERR_USAGE,
                "the routes have several groups: say which with --group or --route");
        return NULL;
    }
    return route;
}

static int list(struct auditing *audit)
{
    const char *since = cli_option(audit->cli, "--since");
    const struct route_config *route = choose_route(audit);
    struct dlq_filter filter;
    bool ok = route != NULL;
    dlq_filter_init(&filter);
    if (ok && since)
        ok = dlq_filter_set(&filter, "since", slice_of(since), clock_wall_ms(), &audit->err);
    audit->since_ms = filter.since_ms;
    dlq_filter_deinit(&filter);
    if (ok) {
        audit->topic = config_audit_topic(route);
        ok = read_all(audit, route->group);
    }
    if (ok)
        print(audit);
    return ok ? EXIT_OK : cli_fail(&audit->err);
}

/* ---- by a console ---- */

static void take_entry(struct auditing *audit, struct json_object *object)
{
    struct json_object *details = answer_member(object, "details");
    const char *reason = answer_text(object, "reason");
    audit->items[audit->count++] = (struct audit_entry){
        .at_ms = answer_ms(object, "at"),
        .by = mem_strdup(answer_text(object, "by")),
        .action = mem_strdup(answer_text(object, "action")),
        .on = mem_strdup(answer_text(object, "on")),
        .reason = reason[0] ? mem_strdup(reason) : NULL,
        .details = details ? mem_strdup(json_object_to_json_string_ext(
                                 details, JSON_C_TO_STRING_NOSLASHESCAPE))
                           : NULL,
        .result = mem_strdup(answer_text(object, "result"))};
}

static void take_entries(struct auditing *audit, struct json_object *list)
{
    size_t count = audit->count + answer_count(list);
    audit->items = mem_realloc(audit->items, (count + 1) * sizeof(*audit->items));
    for (size_t i = 0; i < answer_count(list); i++)
        take_entry(audit, json_object_array_get_idx(list, i));
}

/* The newest stand first there. */
static void turn_round(struct auditing *audit)
{
    for (size_t i = 0; i < audit->count / 2; i++) {
        struct audit_entry entry = audit->items[i];
        audit->items[i] = audit->items[audit->count - 1 - i];
        audit->items[audit->count - 1 - i] = entry;
    }
}

/* One page; next: its cursor, then the next one's. */
static bool take_page(struct auditing *audit, struct console_client *console,
                      const struct buf *group, struct buf *next)
{
    const char *since = audit->since;
    struct json_object *answer;
    struct buf path = {0};
    buf_printf(&path, "/api/v1/audit?limit=%d", CONSOLE_MOST);
    if (since)
        console_client_add_param(&path, "since", slice_of(since));
    if (group->len > 0)
        console_client_add_param(&path, "group", buf_slice(group));
    if (next->len > 0)
        console_client_add_param(&path, "cursor", buf_slice(next));
    answer = console_ask(console, path.data, NULL, &audit->err);
    buf_deinit(&path);
    buf_reset(next);
    if (!answer)
        return false;
    take_entries(audit, answer_member(answer, "entries"));
    buf_add_text(next, answer_text(answer, "next"));
    json_object_put(answer);
    return true;
}

static int list_of_console(struct auditing *audit, struct console_client *console)
{
    struct buf group = {0}, next = {0};
    bool ok;
    audit->since = cli_option(audit->cli, "--since");
    ok = console_route_group(audit->cli, console, &group, &audit->err);
    if (ok) {
        do {
            ok = take_page(audit, console, &group, &next);
        } while (ok && next.len > 0);
    }
    buf_deinit(&group);
    buf_deinit(&next);
    if (!ok)
        return cli_fail(&audit->err);
    turn_round(audit);
    print(audit);
    return EXIT_OK;
}

/* ---- the command ---- */

static int list_here(struct auditing *audit)
{
    int code = EXIT_OK;
    struct config *config = cli_load_config(audit->cli, &code);
    if (!config)
        return code;
    audit->config = config;
    audit->loop = loop_new(&audit->err);
    code = audit->loop ? list(audit) : cli_fail(&audit->err);
    if (audit->loop)
        loop_free(&audit->loop);
    config_free(&config);
    return code;
}

int cmd_audit(struct cli *cli)
{
    struct auditing audit = {.cli = cli};
    struct console_client *console;
    int code;
    if (!console_ask_open(cli, &console, &audit.err))
        return cli_fail(&audit.err);
    code = console ? list_of_console(&audit, console) : list_here(&audit);
    console_client_free(&console);
    for (size_t i = 0; i < audit.count; i++)
        audit_entry_deinit(&audit.items[i]);
    mem_free(audit.items);
    mem_free(audit.topic);
    return code;
}
