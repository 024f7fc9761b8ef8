/* Why something waits; see why.h. Reads only. */
#include "flow/why.h"

#include <stdio.h>

#include "base/clock.h"
#include "flow/part.h"
#include "flow/rebuild.h"
#include "flow/route_state.h"
#include "kafka/watermark.h"

static const char *wait_text(enum wait_reason reason)
{
    static const char *const texts[] = {
        "",
        "waits for its next inline retry",
        "waits for as long as the handler asked (Retry-After)",
        "waits for the claim of another member on its key to end",
        "waits because its key's parked list is full",
        "waits until the ownership of the partition is proven",
        "waits until the lease of an attempt with an unknown end lapses",
        "waits because its copy cannot be written to the retry or dead-letter topic",
        "waits because its dead letter is refused by its topic, and the spool cannot take it",
        "waits because the state of its dead letter cannot be written to its topic",
    };
    return texts[reason];
}

const char *why_of_record(const struct delivery *d)
{
    static const char *const texts[] = {
        "waits in the lane of its key for a handler slot or for an earlier record",
        "asks the ledger for its claim",
        "waits for a request to the handler that it may go with",
        "is at the handler",
        "",
        "gives its claim back",
        "its copy is on its way to the retry or dead-letter topic",
        "the state of its dead letter is on its way",
        "its end is on its way to the ledger",
        "waits for its offset to be committed",
        "follows its key's parked head"};
    if (d->state == DELIVERY_QUEUED && d->lane && d->lane->source_held)
        return d->lane->blocked
                   ? "waits because a dead letter blocks its key, whose parked list is full: see "
                     "`oncegate ledger release`"
                   : wait_text(WAIT_PARK_FULL);
    return d->state == DELIVERY_WAITING ? wait_text(d->wait) : texts[d->state];
}

static const struct delivery *oldest_of(const struct route *route, const struct part *part)
{
    int64_t offset = watermark_oldest_open(part->watermark);
    const struct delivery *d;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (d->part == part && !d->settled && d->rec.offset == offset)
            return d;
    }
    return NULL;
}

void why_of_part(const struct route *route, const struct part *part, char out[WHY_MAX])
{
    const struct delivery *d;
    out[0] = '\0';
    if (part->out_of_range) {
        snprintf(out, WHY_MAX, "offset %lld is out of range and on_offset_lost is stop",
                 (long long)part->lost_offset);
    } else if (part->fence == PART_FENCE_BUILDING) {
        (void)rebuild_text(route, out, WHY_MAX);
    } else if (part->fence != PART_FENCE_HELD) {
        snprintf(out, WHY_MAX, "its fence token is being taken from the ledger");
    } else if (part->waiting && part->waiting->due_wall_ms > clock_wall_ms()) {
        snprintf(out, WHY_MAX, "its first record is due in %lld ms",
                 (long long)(part->waiting->due_wall_ms - clock_wall_ms()));
    } else if ((d = oldest_of(route, part)) != NULL && d != part->waiting) {
        snprintf(out, WHY_MAX, "record %lld %s", (long long)d->rec.offset, why_of_record(d));
    } else if (part->waiting || (route->intake_blocked && part->watchdog.stuck)) {
        snprintf(out, WHY_MAX,
                 "nothing of it is taken: the records in memory are at limits.records or "
                 "limits.bytes");
    } else if (part->watchdog.stuck) {
        snprintf(out, WHY_MAX,
                 "the broker has more of it and gives none: an open transaction, or offsets that "
                 "hold nothing to read, or a broker that does not serve it");
    }
}
