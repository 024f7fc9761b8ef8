/*
 * Jobs in words; see redrive_print.h. Texts of people (reasons, names) are written as JSON strings,
 * so that nothing of them drives a terminal.
 */
#include "redrive_print.h"

#include <inttypes.h>

#include "base/str.h"

static const char *const skip_words[REDRIVE_SKIPS] = {
    [SKIP_ON_ITS_WAY] = "already on their way by another redrive",
    [SKIP_RESOLVED] = "resolved already",
    [SKIP_ARCHIVED] = "archived",
    [SKIP_GONE] = "too old: Kafka's retention has taken the record",
    [SKIP_NOT_FOUND] = "not found: no dead letter stands there",
    [SKIP_NO_ROUTE] = "their topic is no route's any more, or has no redrive topic",
    [SKIP_FOREIGN] = "written by another program: where they came from is not known",
    [SKIP_REFUSED] = "refused by Kafka",
};

static void add_skipped(const struct redrive_counts *counts, struct buf *out)
{
    for (int i = 0; i < REDRIVE_SKIPS; i++) {
        if (counts->skipped[i] > 0)
            buf_printf(out, "  %-10s %10" PRIu64 "  %s\n", "skipped", counts->skipped[i],
                       skip_words[i]);
    }
}

static void add_count(struct buf *out, const char *name, uint64_t count, const char *words)
{
    if (count > 0)
        buf_printf(out, "  %-10s %10" PRIu64 "  %s\n", name, count, words);
}

const char *redrive_print_status(const struct redrive_job *job, bool cancel_asked)
{
    if (cancel_asked && !redrive_status_is_end(job->status))
        return redrive_status_name(REDRIVE_CANCELLING);
    return redrive_status_name(job->status);
}

void redrive_print_progress(const struct redrive_job *job, struct buf *out)
{
    const struct redrive_counts *counts = &job->counts;
    uint64_t skipped = redrive_counts_skipped(counts);
    buf_printf(out, "%" PRIu64 " of %" PRIu64 " sent", counts->sent, counts->eligible);
    if (counts->resolved > 0)
        buf_printf(out, ", %" PRIu64 " resolved", counts->resolved);
    if (counts->superseded > 0)
        buf_printf(out, ", %" PRIu64 " superseded", counts->superseded);
    if (counts->dropped > 0)
        buf_printf(out, ", %" PRIu64 " dropped", counts->dropped);
    if (counts->duplicate > 0)
        buf_printf(out, ", %" PRIu64 " retried elsewhere", counts->duplicate);
    if (counts->failed > 0)
        buf_printf(out, ", %" PRIu64 " failed again", counts->failed);
    if (skipped > 0)
        buf_printf(out, ", %" PRIu64 " skipped", skipped);
    if (redrive_counts_on_their_way(counts) > 0)
        buf_printf(out, ", %" PRIu64 " on their way", redrive_counts_on_their_way(counts));
}

void redrive_print_job(const struct redrive_job *job, bool cancel_asked, struct buf *out)
{
    const struct redrive_counts *counts = &job->counts;
    char created[STR_RFC3339_MAX], updated[STR_RFC3339_MAX];
    str_rfc3339_from_ms(job->created_ms, created);
    str_rfc3339_from_ms(job->updated_ms, updated);
    buf_printf(out, "%s  %s  mode %s  since %s, told %s\n", job->id,
               redrive_print_status(job, cancel_asked), redrive_mode_name(job->mode), created,
               updated);
    buf_add_text(out, "  by ");
    buf_add_json(out, slice_of(job->by ? job->by : ""));
    if (job->reason) {
        buf_add_text(out, ", because ");
        buf_add_json(out, slice_of(job->reason));
    }
    buf_printf(out, "\n  filter %s\n", job->filter);
    buf_printf(out, "  %-10s %10" PRIu64 "  of %" PRIu64 " to be sent, of %" PRIu64 " asked for\n",
               "sent", counts->sent, counts->eligible, counts->total);
    add_count(out, "resolved", counts->resolved, "the handler took them");
    add_count(out, "superseded", counts->superseded, "their key has moved on");
    add_count(out, "dropped", counts->dropped, "the handler said drop");
    add_count(out, "duplicate", counts->duplicate, "are being retried elsewhere");
    add_count(out, "failed", counts->failed, "dead letters again: open");
    add_count(out, "on its way", redrive_counts_on_their_way(counts), "no end is known yet");
    add_skipped(counts, out);
    if (redrive_status_is_end(job->status) && job->skipped_listed < redrive_counts_skipped(counts))
        add_count(out, "unlisted", redrive_counts_skipped(counts) - job->skipped_listed,
                  "of those skipped, which is not kept");
    if (job->note) {
        buf_add_text(out, "  note: ");
        buf_add_json(out, slice_of(job->note));
        buf_add_char(out, '\n');
    }
}

void redrive_print_plan(const struct redrive_counts *counts, const struct redrive_job *job,
                        struct buf *out)
{
    buf_printf(out, "  %-10s %10" PRIu64 "  of %" PRIu64 " asked for\n", "eligible",
               counts->eligible, counts->total);
    add_skipped(counts, out);
    if (job->limit > 0 && job->limit < counts->eligible)
        buf_printf(out, "  %-10s %10" PRIu64 "  the limit: the oldest by origin go first\n",
                   "sends", job->limit);
}
