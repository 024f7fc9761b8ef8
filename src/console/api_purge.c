/*
 * Deletes the oldest dead letters of a partition for ever. That is all that Kafka can delete of a
 * log. Whoever asks sees how many go, types the topic's name, and stands in the audit log before
 * anything is deleted.
 *
 *   index (a thread: how many) -> audit log -> Kafka -> answer
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "dlq/purge_count.h"
#include "kafka/admin.h"

#define REASON_MAX 1000
#define PAGE       5000
#define PURGE_MS   60000
#define OFFSET_MAX (UINT64_C(1) << 53) /* what a reader of JSON keeps */

static const char note[] =
    "Kafka deletes only from the beginning of a partition up to an offset: no single record out of "
    "the middle, and nothing by a filter. Offsets are not used again. What was exported or "
    "archived "
    "to files stays.";

struct purging {
    struct work work;
    char *topic, *reason, *confirm;
    uint64_t partition, before;
    bool dry_run;
    const struct route_config *route;
    struct purge_count count;
    struct dlq_covered covered;
    struct kafka_admin *admin;
    int64_t begin; /* -1: nothing was deleted */
    struct err err;
};

static void drop(struct work *work)
{
    struct purging *purge = (struct purging *)work;
    (void)err_set(&purge->err, ERR_CANCELLED, "it has ended"); /* for what is still asked */
    kafka_admin_free(&purge->admin);
    mem_free(purge->topic);
    mem_free(purge->reason);
    mem_free(purge->confirm);
}

static const struct work_kind kind = {
    .size = sizeof(struct purging),
    .time_ms = PURGE_MS,
    .changes = true,
    .late = "Kafka does not answer: whether they are deleted is not known",
    .drop = drop};

static void end(struct purging *purge)
{
    struct buf body = {0};
    if (purge->err.code) {
        work_fail(&purge->work, &purge->err);
    } else {
        buf_printf(&body, "{\"letters\":%" PRIu64 ",\"open\":%" PRIu64 ",\"deleted\":%s,\"begin\":",
                   purge->count.letters, purge->count.open, purge->begin >= 0 ? "true" : "false");
        if (purge->begin >= 0)
            buf_printf(&body, "%" PRId64, purge->begin);
        else
            buf_add_text(&body, "null");
        buf_printf(&body, ",\"note\":\"%s\",\"covered\":", note);
        json_add_covered(&body, &purge->covered);
        buf_add_text(&body, "}\n");
        work_answer(&purge->work, &body);
    }
    buf_deinit(&body);
    work_end(&purge->work);
}

/* ---- deleting ---- */

static void deleted(void *arg, int64_t begin, const struct err *err)
{
    struct purging *purge = arg;
    if (purge->err.code)
        return; /* it was ended, and this is the end of the client */
    if (err)
        purge->err = *err;
    else
        purge->begin = begin;
    end(purge);
}

static void audited(void *arg, const struct err *err)
{
    struct purging *purge = arg;
    struct console *console = purge->work.console;
    if (err)
        purge->err = *err;
    else
        purge->admin = kafka_admin_new(console->options.loop, console->config, &purge->err);
    if (purge->err.code)
        end(purge);
    else
        kafka_admin_delete_below(purge->admin, purge->topic, (int32_t)purge->partition,
                                 (int64_t)purge->before, deleted, purge);
}

static void write_audit(struct purging *purge)
{
    char *on = mem_printf("%s/%" PRIu64, purge->topic, purge->partition);
    char *details = mem_printf("{\"below\":%" PRIu64 ",\"letters\":%" PRIu64 ",\"open\":%" PRIu64
                               "}",
                               purge->before, purge->count.letters, purge->count.open);
    console_audit(purge->work.console, purge->route->group,
                  &(struct audit_note){.who = &purge->work.who,
                                       .action = "dlq.purge",
                                       .on = on,
                                       .reason = purge->reason,
                                       .details = details},
                  audited, purge);
    mem_free(on);
    mem_free(details);
}

/* ---- how many ---- */

static bool each(void *arg, const struct dlq_row *row)
{
    struct purging *purge = arg;
    purge_count_add(&purge->count, row);
    return true;
}

static void run(void *arg, struct dlq_index *index)
{
    struct purging *purge = arg;
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX] = "";
    struct dlq_filter filter;
    bool ok = true;
    dlq_filter_init(&filter);
    purge_count_filter(&filter, purge->topic);
    purge->count.partition = purge->partition;
    purge->count.before = purge->before;
    do {
        memcpy(cursor, next, sizeof(cursor));
        next[0] = '\0';
        ok = dlq_index_list(index, &filter, cursor, PAGE, each, purge, next, &purge->covered,
                            &purge->err);
    } while (ok && next[0]);
    dlq_filter_deinit(&filter);
}

static void counted(void *arg)
{
    struct purging *purge = arg;
    struct console *console = purge->work.console;
    if (purge->err.code || purge->dry_run || !console->events ||
        !console_producer(console, &purge->err))
        end(purge);
    else
        write_audit(purge);
}

/* ---- asking ---- */

static bool read_members(struct purging *purge, const struct body *body, struct err *err)
{
    if (!body_text(body, "topic", 300, &purge->topic, err) ||
        !body_number(body, "partition", 0, INT32_MAX, &purge->partition, err) ||
        !body_number(body, "before", 1, OFFSET_MAX, &purge->before, err) ||
        !body_text(body, "reason", REASON_MAX, &purge->reason, err) ||
        !body_text(body, "confirm", 300, &purge->confirm, err) ||
        !body_bool(body, "dry_run", &purge->dry_run, err))
        return false;
    if (!purge->topic || purge->before == 0 || purge->partition == UINT64_MAX)
        return err_set(err, ERR_USAGE, "topic, partition and before are wanted");
    return true;
}

static bool read_order(struct purging *purge, struct call *call, struct err *err)
{
    static const char *const names[] = {"topic",   "partition", "before", "reason",
                                        "confirm", "dry_run",   NULL};
    struct body *body = body_parse(call_request(call)->body, names, err);
    bool ok = body && read_members(purge, body, err);
    body_free(&body);
    if (!ok)
        return false;
    purge->route = dlq_topic_route(purge->work.console->config, purge->topic);
    if (!purge->route)
        return err_set(err, ERR_USAGE, "topic: no route writes its dead letters there");
    return purge->dry_run || (purge->confirm && strcmp(purge->confirm, purge->topic) == 0) ||
           err_set(err, ERR_USAGE,
                   "confirm: this deletes for ever, and wants the name of the topic once more");
}

void api_purge(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct purging *purge = work_new(&kind, console, call, match);
    struct err err = {0};
    if (!purge)
        return;
    purge->begin = -1;
    purge->partition = UINT64_MAX;
    if (!read_order(purge, call, &err)) {
        work_fail(&purge->work, &err);
        work_end(&purge->work);
        return;
    }
    if (!workers_ask(console->workers, run, counted, purge)) {
        work_problem(&purge->work, 503, "too many requests wait for the index: try again");
        work_end(&purge->work);
    }
}
