/*
 * See dlq_by_console.h. A console archives some thousands at a time and learns of that from Kafka a
 * little later, so the next ones are asked for when it counts fewer. Must not: ask for the same
 * letters again because it does not know of them yet.
 */
#include "dlq_by_console.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "console_letters.h"
#include "progress.h"

#define LOOK_MS 200
#define SEEN_MS 60000 /* for a console to see what it has written */

static void add_reason(struct buf *order, const char *reason)
{
    if (!reason)
        return;
    buf_add_text(order, ",\"reason\":");
    buf_add_json(order, slice_of(reason));
}

/* ---- archive ---- */

struct counting {
    unsigned states;
    uint64_t count;
};

static bool add_group(void *arg, const struct dlq_group *group)
{
    struct counting *counting = arg;
    if (counting->states & DLQ_STATE_OPEN)
        counting->count += group->open;
    if (counting->states & DLQ_STATE_RESOLVED)
        counting->count += group->resolved;
    return true;
}

bool dlq_archive_count(struct dlq *dlq, const struct dlq_filter *filter, uint64_t *count,
                       struct err *err)
{
    struct counting counting = {.states = dlq_filter_states(filter)};
    struct dlq_covered covered = {0};
    if (!console_groups(dlq->console, filter, add_group, &counting, &covered, err))
        return false;
    dlq_say_covered(&covered);
    *count = counting.count;
    return true;
}

static struct json_object *ask_archive(struct dlq *dlq, const struct dlq_filter *filter,
                                       const char *reason, struct err *err)
{
    struct buf order = {0};
    struct json_object *answer;
    buf_add_text(&order, "{\"filter\":");
    dlq_filter_to_json(filter, &order);
    add_reason(&order, reason);
    buf_add_char(&order, '}');
    answer = console_ask(dlq->console, "/api/v1/archive", order.data, err);
    buf_deinit(&order);
    return answer;
}

/* Until it counts no more than `most`. */
static bool wait_seen(struct dlq *dlq, const struct dlq_filter *filter, uint64_t most,
                      struct err *err)
{
    struct timespec pause = {0, LOOK_MS * 1000000L};
    uint64_t until_ns = clock_mono_ns() + SEEN_MS * NS_PER_MS, count;
    for (;;) {
        if (!dlq_archive_count(dlq, filter, &count, err))
            return false;
        if (count <= most)
            return true;
        if (clock_mono_ns() > until_ns)
            return err_set_retriable(err, ERR_TIMEOUT,
                                     "the console does not see yet what it has archived: the rest "
                                     "is left, run this again later");
        nanosleep(&pause, NULL);
    }
}

int dlq_archive_by_console(struct dlq *dlq, const struct dlq_filter *filter, const char *reason,
                           uint64_t count)
{
    struct progress progress;
    struct err err = {0};
    uint64_t archived = 0;
    bool ok = true, more = true;
    int code;
    progress_begin(&progress, "archiving");
    while (ok && more) {
        struct json_object *answer = ask_archive(dlq, filter, reason, &err);
        uint64_t done = (uint64_t)answer_number(answer, "archived");
        ok = answer != NULL;
        more = answer_bool(answer, "more") && done > 0;
        json_object_put(answer);
        archived += done;
        progress_show(&progress, archived, count);
        ok = ok && (!more || wait_seen(dlq, filter, count > archived ? count - archived : 0, &err));
    }
    progress_end(&progress);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " dead letters are archived\n", archived, count);
    if (ok)
        return EXIT_OK;
    code = cli_fail(&err);
    return archived > 0 ? EXIT_PARTLY : code;
}

/* ---- purge ---- */

bool dlq_purge_by_console(struct dlq *dlq, struct dlq_purge_order *order, struct err *err)
{
    struct buf text = {0};
    struct json_object *answer;
    buf_add_text(&text, "{\"topic\":");
    buf_add_json(&text, slice_of(order->topic));
    buf_printf(&text, ",\"partition\":%" PRIu64 ",\"before\":%" PRIu64, order->partition,
               order->before);
    add_reason(&text, order->reason);
    if (order->dry_run) {
        buf_add_text(&text, ",\"dry_run\":true}");
    } else { /* it was typed, or given */
        buf_add_text(&text, ",\"confirm\":");
        buf_add_json(&text, slice_of(order->topic));
        buf_add_char(&text, '}');
    }
    answer = console_ask(dlq->console, "/api/v1/purge", text.data, err);
    buf_deinit(&text);
    if (!answer)
        return false;
    order->count = (uint64_t)answer_number(answer, "letters");
    order->open = (uint64_t)answer_number(answer, "open");
    order->begin = answer_number(answer, "begin");
    json_object_put(answer);
    return true;
}
