/*
 * Where logs begin and end: two questions in a row, for the beginnings and for the ends. Their
 * answers carry the address of the question, which is looked up before it is used: what was given
 * up is not there any more. done runs once, on the loop, never inside the call that asked.
 */
#include <string.h>

#include "base/mem.h"
#include "kafka/admin_state.h"
#include "kafka/client_error.h"

#define BOUNDS_TIMEOUT_MS 10000

struct admin_bounds {
    struct kafka_bounds *items;
    size_t count;
    bool ends; /* the second question is out */
    void (*done)(void *arg, const struct kafka_bounds *bounds, size_t count, const struct err *err);
    void *arg;
    struct admin_bounds *next;
};

static void finish(struct kafka_admin *admin, struct admin_bounds *bounds, const struct err *err)
{
    struct admin_bounds **at = &admin->bounds;

    while (*at != bounds)
        at = &(*at)->next;
    *at = bounds->next;
    bounds->done(bounds->arg, err == NULL ? bounds->items : NULL, err == NULL ? bounds->count : 0,
                 err);
    mem_free(bounds->items);
    mem_free(bounds);
}

static void on_nothing(void *arg)
{
    struct kafka_admin *admin = arg;
    struct admin_bounds *bounds = admin->bounds;

    while (bounds != NULL) {
        if (bounds->count == 0) {
            finish(admin, bounds, NULL);
            bounds = admin->bounds;
        } else {
            bounds = bounds->next;
        }
    }
}

void admin_bounds_init(struct kafka_admin *admin)
{
    loop_task_init(&admin->bounds_task, on_nothing, admin);
}

void admin_bounds_deinit(struct kafka_admin *admin, const struct err *err)
{
    loop_task_cancel(admin->loop, &admin->bounds_task);
    while (admin->bounds != NULL)
        finish(admin, admin->bounds, err);
}

/* Read committed: an end stands before the records of transactions that are still open. */
static void ask(struct kafka_admin *admin, struct admin_bounds *bounds)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk,
                                                                 RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)bounds->count);
    char text[128];

    for (size_t i = 0; i < bounds->count; i++)
        rd_kafka_topic_partition_list_add(list, bounds->items[i].topic, bounds->items[i].partition)
            ->offset = bounds->ends ? RD_KAFKA_OFFSET_SPEC_LATEST : RD_KAFKA_OFFSET_SPEC_EARLIEST;
    rd_kafka_AdminOptions_set_request_timeout(options, BOUNDS_TIMEOUT_MS, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(options, bounds);
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
        options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED));
    rd_kafka_ListOffsets(admin->rk, list, options, admin->queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
}

void kafka_admin_bounds(struct kafka_admin *admin, const struct kafka_bounds *asked, size_t count,
                        void (*done)(void *arg, const struct kafka_bounds *bounds, size_t count,
                                     const struct err *err),
                        void *arg)
{
    struct admin_bounds *bounds = mem_zalloc(sizeof(*bounds));

    bounds->items = mem_calloc(count + 1, sizeof(*bounds->items));
    for (size_t i = 0; i < count; i++)
        bounds->items[i] = (struct kafka_bounds){asked[i].topic, asked[i].partition, -1, -1};
    bounds->count = count;
    bounds->done = done;
    bounds->arg = arg;
    bounds->next = admin->bounds;
    admin->bounds = bounds;
    if (count == 0)
        loop_defer(admin->loop, &admin->bounds_task);
    else
        ask(admin, bounds);
}

static void take(struct admin_bounds *bounds, const rd_kafka_topic_partition_t *part)
{
    if (part->err != RD_KAFKA_RESP_ERR_NO_ERROR || part->offset < 0)
        return;
    for (size_t i = 0; i < bounds->count; i++) {
        struct kafka_bounds *item = &bounds->items[i];

        if (item->partition != part->partition || strcmp(item->topic, part->topic) != 0)
            continue;
        if (bounds->ends)
            item->end = part->offset;
        else
            item->begin = part->offset;
    }
}

void admin_bounds_event(struct kafka_admin *admin, rd_kafka_event_t *event)
{
    struct admin_bounds *bounds = admin->bounds;
    const rd_kafka_ListOffsetsResultInfo_t **infos;
    size_t count = 0;
    struct err err;

    while (bounds != NULL && bounds != rd_kafka_event_opaque(event))
        bounds = bounds->next;
    if (bounds == NULL)
        return;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&err, rd_kafka_event_error(event), "asking where logs begin and end");
        finish(admin, bounds, &err);
        return;
    }
    infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    for (size_t i = 0; i < count; i++)
        take(bounds, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
    if (bounds->ends) {
        finish(admin, bounds, NULL);
        return;
    }
    bounds->ends = true;
    ask(admin, bounds);
}
