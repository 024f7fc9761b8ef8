/* Assigned topic-partitions; see part.h. Must not: talk to Kafka or the ledger. */
#include "flow/part.h"

#include <stdio.h>

#include "base/mem.h"
#include "flow/intake.h"
#include "flow/route_state.h"

static void part_due(void *arg)
{
    struct part *part = arg;
    intake_wake(part->route);
}

struct part *part_new(struct route *route, struct kafka_partition *kafka, enum part_kind kind,
                      struct route_topic *topic, int32_t tier_ms)
{
    struct part *part = mem_zalloc(sizeof(*part));
    part->route = route;
    part->kafka = kafka;
    part->refs = 1;
    part->kind = kind;
    part->topic = topic;
    part->number = kafka->partition;
    part->tier_ms = tier_ms;
    part->watermark = watermark_new(kafka->start_offset);
    part->committed = kafka->start_offset;
    part->committing = -1;
    part->marked = kafka->start_offset;
    part->marking = -1;
    part->lost_offset = -1;
    snprintf(part->owner.name, sizeof(part->owner.name), "%s/%d", kafka->topic,
             (int)kafka->partition);
    part->next = part->owner;
    part->fresh = true;
    TAILQ_INIT(&part->row);
    loop_timer_init(&part->due, route->loop, part_due, part);
    kafka->user = part;
    return part;
}

void part_ref(struct part *part)
{
    part->refs++;
}

void part_unref(struct part **part)
{
    struct part *p = *part;
    *part = NULL;
    if (!p || --p->refs > 0)
        return;
    loop_timer_deinit(&p->due);
    watermark_free(&p->watermark);
    mem_free(p);
}

void part_gone(struct part **part)
{
    (*part)->gone = true;
    if ((*part)->kafka)
        (*part)->kafka->user = NULL;
    (*part)->kafka = NULL;
    loop_timer_cancel(&(*part)->due);
    part_unref(part);
}

int64_t part_tier_watermark(const struct route *route, const struct route_topic *topic,
                            int32_t tier_ms, int32_t number)
{
    const struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->kind == PART_TIER && part->topic == topic && part->tier_ms == tier_ms &&
            part->number == number)
            return watermark_offset(part->watermark);
    }
    return -1;
}

const char *part_kind_name(enum part_kind kind)
{
    static const char *const names[] = {"source", "tier", "redrive"};
    return names[kind];
}
