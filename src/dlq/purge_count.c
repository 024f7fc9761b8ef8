/* See purge_count.h. Must not: delete anything. */
#include "dlq/purge_count.h"

#include "base/mem.h"

void purge_count_filter(struct dlq_filter *filter, const char *topic)
{
    filter->topic = mem_strdup(topic);
    filter->states = DLQ_STATE_ANY;
}

void purge_count_add(struct purge_count *count, const struct dlq_row *row)
{
    struct dlq_id id = {0};
    struct err err = {0};
    if (dlq_id_parse(slice_of(row->latest), &id, &err) &&
        (uint64_t)id.partition == count->partition && (uint64_t)id.offset < count->before) {
        count->letters++;
        count->open += (row->state & DLQ_STATE_LIVE) != 0;
    }
    dlq_id_deinit(&id);
}
