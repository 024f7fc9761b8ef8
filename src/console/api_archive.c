/*
 * Puts dead letters away: `archived` in the state topic; nothing is deleted. Which ones the index
 * says. The audit log first: without a trace nothing is put away.
 *
 *   index (a thread) -> audit log, an entry for each group -> states, all at once -> answer
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "dlq/dlq_write.h"
#include "dlq/put_away.h"
#include "record/audit_entry.h"
#include "record/letter_state.h"

#define REASON_MAX 1000
#define AT_ONCE    10000
#define PAGE       1000
#define ARCHIVE_MS 60000

struct archiving {
    struct work work;
    struct dlq_filter filter;
    char *reason;
    bool dry_run;
    struct put_away *items;
    size_t count;
    bool more;
    struct dlq_covered covered;
    struct err err;
    bool asked; /* the thread has it */
    size_t pending;
    uint64_t written;
};

static void drop(struct work *work)
{
    struct archiving *archive = (struct archiving *)work;
    for (size_t i = 0; i < archive->count; i++)
        put_away_deinit(&archive->items[i]);
    mem_free(archive->items);
    mem_free(archive->reason);
    dlq_filter_deinit(&archive->filter);
}

static const struct work_kind kind = {
    .size = sizeof(struct archiving),
    .time_ms = ARCHIVE_MS,
    .changes = true,
    .late = "Kafka has not acknowledged all of it: the list says what is archived",
    .drop = drop};

static void end(struct archiving *archive)
{
    struct buf body = {0};
    if (archive->err.code) {
        work_fail(&archive->work, &archive->err);
    } else {
        buf_printf(&body,
                   "{\"matched\":%zu,\"archived\":%" PRIu64 ",\"more\":%s,\"dry_run\":%s,"
                   "\"covered\":",
                   archive->count, archive->written, archive->more ? "true" : "false",
                   archive->dry_run ? "true" : "false");
        json_add_covered(&body, &archive->covered);
        buf_add_text(&body, "}\n");
        work_answer(&archive->work, &body);
    }
    buf_deinit(&body);
    work_end(&archive->work);
}

/* ---- states ---- */

static void written(void *arg, const struct err *err)
{
    struct archiving *archive = arg;
    archive->pending--;
    if (!err)
        archive->written++;
    else if (!archive->err.code)
        archive->err = *err;
    if (archive->pending > 0)
        return;
    if (archive->err.code && archive->written > 0)
        (void)err_prefix(&archive->err, "%" PRIu64 " of %zu are archived", archive->written,
                         archive->count);
    end(archive);
}

static void write_states(struct archiving *archive)
{
    struct console *console = archive->work.console;
    char *by = console_by(&archive->work.who);
    struct buf value = {0};
    archive->pending = archive->count;
    for (size_t i = 0; i < archive->count; i++) {
        const struct put_away *item = &archive->items[i];
        char *topic = config_dlq_state_topic(item->route);
        buf_reset(&value);
        put_away_write(&value, item, by, archive->reason, SLICE_NULL);
        dlq_write(console->producer, topic, LETTER_STATE_PARTITION, slice_of(item->state_key),
                  buf_slice(&value), written, archive);
        mem_free(topic);
    }
    buf_deinit(&value);
    mem_free(by);
}

/* ---- audit ---- */

static void audited(void *arg, const struct err *err)
{
    struct archiving *archive = arg;
    archive->pending--;
    if (err && !archive->err.code)
        archive->err = *err;
    if (archive->pending > 0)
        return;
    if (archive->err.code)
        end(archive);
    else
        write_states(archive);
}

static size_t count_of(const struct archiving *archive, const char *group)
{
    size_t count = 0;
    for (size_t i = 0; i < archive->count; i++)
        count += strcmp(archive->items[i].route->group, group) == 0;
    return count;
}

static void write_audit(struct archiving *archive)
{
    const struct redriving *redriving = archive->work.console->redriving;
    struct buf details = {0};
    archive->pending = 1;
    for (size_t i = 0; i < redriving_count(redriving); i++) {
        const char *group = redriving_at(redriving, i).name;
        size_t count = count_of(archive, group);
        if (count == 0)
            continue;
        buf_reset(&details);
        buf_printf(&details, "{\"count\":%zu,\"filter\":", count);
        dlq_filter_to_json(&archive->filter, &details);
        buf_add_char(&details, '}');
        archive->pending++;
        console_audit(archive->work.console, group,
                      &(struct audit_note){.who = &archive->work.who,
                                           .action = "dlq.archive",
                                           .on = "filter",
                                           .reason = archive->reason,
                                           .details = details.data},
                      audited, archive);
    }
    buf_deinit(&details);
    audited(archive, NULL); /* the one that kept it from going on */
}

/* ---- which ---- */

static bool each(void *arg, const struct dlq_row *row)
{
    struct archiving *archive = arg;
    struct put_away item;
    if (!put_away_choose(&item, archive->work.console->config, row))
        return true;
    archive->more = archive->count == AT_ONCE;
    if (archive->more)
        put_away_deinit(&item);
    else
        archive->items[archive->count++] = item;
    return !archive->more;
}

static void run(void *arg, struct dlq_index *index)
{
    struct archiving *archive = arg;
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX] = "";
    archive->items = mem_calloc(AT_ONCE, sizeof(*archive->items));
    do {
        memcpy(cursor, next, sizeof(cursor));
        next[0] = '\0';
        if (!dlq_index_list(index, &archive->filter, cursor, PAGE, each, archive, next,
                            &archive->covered, &archive->err))
            return;
    } while (next[0] && !archive->more);
}

static void found(void *arg)
{
    struct archiving *archive = arg;
    struct console *console = archive->work.console;
    if (archive->err.code || archive->dry_run || archive->count == 0 || !console->events ||
        !console_producer(console, &archive->err))
        end(archive);
    else
        write_audit(archive);
}

static bool read_order(struct archiving *archive, struct call *call, struct err *err)
{
    static const char *const names[] = {"filter", "reason", "dry_run", NULL};
    struct body *body = body_parse(call_request(call)->body, names, err);
    bool ok = body &&
              body_filter(body, clock_wall_ms(), !archive->work.masked, &archive->filter, err) &&
              body_text(body, "reason", REASON_MAX, &archive->reason, err) &&
              body_bool(body, "dry_run", &archive->dry_run, err);
    body_free(&body);
    return ok;
}

void api_archive(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct archiving *archive = work_new(&kind, console, call, match);
    struct err err = {0};
    if (!archive)
        return;
    dlq_filter_init(&archive->filter);
    if (!read_order(archive, call, &err)) {
        work_fail(&archive->work, &err);
        work_end(&archive->work);
        return;
    }
    if (!archive->filter.states)
        archive->filter.states = DLQ_STATE_OPEN;
    if (!workers_ask(console->workers, run, found, archive)) {
        work_problem(&archive->work, 503, "too many requests wait for the index: try again");
        work_end(&archive->work);
    }
}
