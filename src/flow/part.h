/*
 * One assigned topic-partition: what kind of topic it is of, its watermark, its fence, and the
 * record that waits there until it is due. Reference-counted: the assignment holds one reference,
 * each delivery consumed from it another, so that a late answer still finds its claim's owner after
 * the partition went away (`gone`: nothing of it is settled or committed any more).
 */
#ifndef OG_FLOW_PART_H
#define OG_FLOW_PART_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "flow/delivery.h"
#include "flow/watchdog.h"
#include "kafka/consumer.h"
#include "kafka/watermark.h"
#include "ledger/ledger.h"

struct route;
struct route_topic;

enum part_kind { PART_SOURCE, PART_TIER, PART_REDRIVE };
enum part_fence {
    PART_FENCE_TAKING,   /* a token was asked for */
    PART_FENCE_TAKEN,    /* it is there, others of the route are awaited: see rebuild.h */
    PART_FENCE_BUILDING, /* the ledger is told first what is parked */
    PART_FENCE_HELD,     /* in use */
    PART_FENCE_PROVING,  /* a commit has to show that the partition is still ours */
};

struct part {
    struct route *route;
    struct kafka_partition *kafka; /* NULL once gone */
    TAILQ_ENTRY(part) in_route;
    unsigned refs;
    bool gone;

    enum part_kind kind;
    struct route_topic *topic; /* the source topic that it belongs to */
    int32_t number;
    int32_t tier_ms; /* of a tier */
    bool retiring;   /* a tier that the configuration does not name any more */

    struct ledger_owner owner; /* what operations borrow: its token is in use */
    struct ledger_owner next;  /* the token that was taken last */
    enum part_fence fence;
    bool fresh; /* no token was in use since it was assigned */

    struct watermark *watermark;
    struct watchdog_part watchdog;
    bool aging; /* see aging.h */
    uint64_t aging_told_ms;
    int64_t committed;  /* as acknowledged by the broker */
    int64_t committing; /* in the commit under way, or -1 */
    int64_t marked;     /* with marks: below it all that was settled is in the marks topic */
    int64_t marking;    /* will be, when the round under way ends; or -1 */

    int64_t newest_ms; /* of a source: the highest timestamp of its producers that was taken */

    struct delivery_list row; /* at most once: taken, not decided upon, by offset */
    struct delivery *waiting; /* taken, and not due yet */
    struct loop_timer due;
    bool out_of_range; /* stuck: the policy says stop */
    int64_t lost_offset;
};

TAILQ_HEAD(part_list, part);

struct part *part_new(struct route *route, struct kafka_partition *kafka, enum part_kind kind,
                      struct route_topic *topic, int32_t tier_ms);
void part_ref(struct part *part);
void part_unref(struct part **part);
/* The assignment is over: drops the assignment's reference. */
void part_gone(struct part **part);
/* The offset below which everything of that tier partition is settled, where it is ours; else -1.
 */
int64_t part_tier_watermark(const struct route *route, const struct route_topic *topic,
                            int32_t tier_ms, int32_t number);
const char *part_kind_name(enum part_kind kind);

#endif
