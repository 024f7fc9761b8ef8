/* What a delivery's operations say; see operation.h. Must not: submit one. */
#include "flow/operation.h"

#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/topics.h"

#define EPOCHS_EACH      (1 << 16)
#define INCARNATIONS_MAX (1 << 14)

/* A new incarnation counts as a higher leader epoch, too: ranges of offsets go by that alone. */
void operation_set_rank(struct ledger_op *op, struct route_topic *topic,
                        const struct origin *origin)
{
    op->origin_topic = topics_rank_name(topic, origin->incarnation);
    op->origin_partition = origin->partition;
    op->origin_leader_epoch = origin->leader_epoch +
                              (int32_t)(origin->incarnation % INCARNATIONS_MAX) * EPOCHS_EACH;
    op->origin_offset = origin->offset;
}

void operation_prepare(struct delivery *d)
{
    struct ledger_op *op = &d->op;
    const struct identity *id = &d->identity;
    op->scope = d->topic->scope;
    op->owner = &d->part->owner;
    op->kind = id->status == IDENTITY_OK ? id->kind : IDENTITY_NONE;
    op->key = id->key;
    op->event_id = id->event_id;
    op->epoch = id->epoch;
    op->number = id->number;
    operation_set_rank(op, d->topic, &d->origin);
    if (d->bad_copy)
        op->origin_topic = d->origin.topic;
    op->redrive_id = d->redrive_id;
    op->redrive_force = d->redrive_force;
    op->source = d->twin ? LEDGER_TIER : d->source;
    op->observe = d->route->config->dedup.mode == DEDUP_OBSERVE;
    op->arg = d;
}
