/*
 * Reading a group's dead letters; see redrive_scan.h.
 *
 *   describe (which topics, their UUIDs and sizes) -> read all of them -> list
 *
 * Invariants: nothing is told before everything was read; a letter is listed only where its redrive
 * topic is there. Must not: write anything.
 */
#include "dlq/redrive_scan.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kafka/admin.h"
#include "kafka/reader.h"

#define TAKEN_PER_TURN 2000

struct scanned {
    char *name, *id; /* id: as letters' ids have it */
    int32_t partitions;
    bool is_state;
};

struct target {
    char *origin, *name;
    uint32_t number; /* of the origin in the table; 0: no letter came from there */
    int32_t partitions;
};

struct range_of {
    size_t topic; /* in topics */
    int32_t partition;
    int64_t first, last; /* offsets seen; -1: none */
};

struct redrive_scan {
    struct redrive_scan_config config;
    struct kafka_admin *admin;
    struct kafka_reader *reader;
    struct loop_task task; /* goes on where a bounded turn stopped; ends */
    struct redrive_table *table;
    struct redrive_list list, late;
    struct redrive_counts counts;
    struct scanned *topics;
    size_t topic_count;
    struct target *targets;
    size_t target_count;
    struct range_of *ranges;
    size_t range_count;
    struct buf store;
    uint64_t read;
    int64_t state_end;
    bool ended;
    struct err err;
};

const struct route_config *redrive_group_route(const struct config *config, const char *group)
{
    for (size_t i = 0; i < config->route_count; i++) {
        if (strcmp(config->routes[i].group, group) == 0)
            return &config->routes[i];
    }
    return NULL;
}

/* ---- which topics ---- */

static void add_topic(struct redrive_scan *scan, char *name, bool is_state)
{
    for (size_t i = 0; i < scan->topic_count; i++) {
        if (strcmp(scan->topics[i].name, name) != 0)
            continue;
        mem_free(name);
        return;
    }
    scan->topics = mem_realloc(scan->topics, (scan->topic_count + 1) * sizeof(*scan->topics));
    scan->topics[scan->topic_count++] = (struct scanned){.name = name, .is_state = is_state};
}

static void add_target(struct redrive_scan *scan, const struct route_config *route,
                       const char *topic)
{
    for (size_t i = 0; i < scan->target_count; i++) {
        if (strcmp(scan->targets[i].origin, topic) == 0)
            return;
    }
    scan->targets = mem_realloc(scan->targets, (scan->target_count + 1) * sizeof(*scan->targets));
    scan->targets[scan->target_count++] = (struct target){
        .origin = mem_strdup(topic), .name = config_redrive_topic(route, topic)};
}

static void choose_topics(struct redrive_scan *scan)
{
    const struct config *config = scan->config.config;
    const struct dlq_filter *filter = scan->config.filter;
    add_topic(scan, config_dlq_state_topic(redrive_group_route(config, scan->config.group)), true);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        if (strcmp(route->group, scan->config.group) != 0)
            continue;
        for (size_t j = 0; j < route->topic_count; j++) {
            add_target(scan, route, route->topics[j]);
            if (!filter->topic && filter->id_count == 0)
                add_topic(scan, config_dlq_topic(route, route->topics[j]), false);
        }
    }
    if (filter->topic)
        add_topic(scan, mem_strdup(filter->topic), false);
    for (size_t i = 0; i < filter->id_count; i++)
        add_topic(scan, mem_strdup(filter->ids[i].topic), false);
}

/* ---- the end ---- */

static void finish(void *arg)
{
    struct redrive_scan *scan = arg;
    kafka_reader_free(&scan->reader);
    scan->config.done(scan->config.arg, scan->err.code ? &scan->err : NULL);
}

/* Never inside the calls that found it out. */
static void end(struct redrive_scan *scan)
{
    if (scan->ended)
        return;
    scan->ended = true;
    loop_task_cancel(scan->config.loop, &scan->task);
    loop_task_init(&scan->task, finish, scan);
    loop_defer(scan->config.loop, &scan->task);
}

/* What a selection names and nobody saw: below what the log still holds, or never there. */
static enum redrive_skip missing(const struct redrive_scan *scan, const struct dlq_id *id)
{
    for (size_t i = 0; i < scan->range_count; i++) {
        const struct range_of *range = &scan->ranges[i];
        if (range->partition != id->partition ||
            strcmp(scan->topics[range->topic].name, id->topic) != 0)
            continue;
        return range->first < 0 || id->offset < range->first ? SKIP_GONE : SKIP_NOT_FOUND;
    }
    return SKIP_NOT_FOUND;
}

static void count_missing(struct redrive_scan *scan)
{
    const struct dlq_filter *filter = scan->config.filter;
    for (size_t i = 0; i < filter->id_count; i++) {
        if (redrive_table_has(scan->table, &filter->ids[i]))
            continue;
        scan->counts.total++;
        scan->counts.skipped[missing(scan, &filter->ids[i])]++;
    }
}

const char *redrive_scan_target(const struct redrive_scan *scan, const struct redrive_entry *entry,
                                int32_t *partitions)
{
    for (size_t i = 0; i < scan->target_count; i++) {
        const struct target *target = &scan->targets[i];
        if (strcmp(target->origin, redrive_table_name(scan->table, entry->origin_topic)) != 0)
            continue;
        *partitions = target->partitions;
        return target->partitions > 0 ? target->name : NULL;
    }
    return NULL;
}

/* Leaves out what has nowhere to go. */
static void drop_homeless(struct redrive_scan *scan)
{
    size_t kept = 0;
    int32_t partitions;
    for (size_t i = 0; i < scan->list.count; i++) {
        if (redrive_scan_target(scan, scan->list.items[i], &partitions))
            scan->list.items[kept++] = scan->list.items[i];
        else
            redrive_skip(scan->list.items[i], SKIP_NO_ROUTE, &scan->counts);
    }
    scan->counts.eligible -= scan->list.count - kept;
    scan->list.count = kept;
}

static void all_read(struct redrive_scan *scan)
{
    redrive_table_list(scan->table, &scan->list, &scan->counts);
    count_missing(scan);
    drop_homeless(scan);
    end(scan);
}

/* ---- reading ---- */

static void take_state(struct redrive_scan *scan, const struct record *rec)
{
    struct redrive_entry *entry;
    struct letter_state state;
    struct letter_id id;
    struct err err = {0};
    scan->state_end = rec->offset + 1;
    if (!letter_state_read(rec, &id, &state, &scan->store, &err) ||
        redrive_table_add_state(scan->table, &id, &state, &entry) != TOLD_LATE)
        return;
    scan->late.items = mem_realloc(scan->late.items,
                                   (scan->late.count + 1) * sizeof(struct redrive_entry *));
    scan->late.items[scan->late.count++] = entry;
}

static void take(struct redrive_scan *scan, const struct record *rec, size_t at)
{
    struct range_of *range = &scan->ranges[at];
    const struct scanned *topic = &scan->topics[range->topic];
    scan->read++;
    if (range->first < 0)
        range->first = rec->offset;
    range->last = rec->offset;
    if (topic->is_state)
        take_state(scan, rec);
    else
        redrive_table_add_letter(scan->table, topic->id, rec);
}

static void readable(void *arg)
{
    struct redrive_scan *scan = arg;
    struct record rec;
    size_t range;
    for (int i = 0; !scan->ended && i < TAKEN_PER_TURN; i++) {
        switch (kafka_reader_take(scan->reader, &rec, &range, &scan->err)) {
        case KAFKA_READ_RECORD:
            take(scan, &rec, range);
            break;
        case KAFKA_READ_EMPTY:
            return;
        case KAFKA_READ_END:
            all_read(scan);
            return;
        case KAFKA_READ_FAILED:
            end(scan);
            return;
        }
    }
    loop_defer(scan->config.loop, &scan->task);
}

static void add_ranges(struct redrive_scan *scan, size_t topic)
{
    int32_t count = scan->topics[topic].is_state ? 1 : scan->topics[topic].partitions;
    if (scan->topics[topic].partitions == 0)
        return;
    scan->ranges = mem_realloc(scan->ranges,
                               (scan->range_count + (size_t)count) * sizeof(*scan->ranges));
    for (int32_t i = 0; i < count; i++)
        scan->ranges[scan->range_count++] = (struct range_of){topic, i, -1, -1};
}

static void begin_reading(struct redrive_scan *scan)
{
    struct kafka_reader_range *asked;
    for (size_t i = 0; i < scan->topic_count; i++)
        add_ranges(scan, i);
    asked = mem_calloc(scan->range_count + 1, sizeof(*asked));
    for (size_t i = 0; i < scan->range_count; i++)
        asked[i] = (struct kafka_reader_range){.topic = scan->topics[scan->ranges[i].topic].name,
                                               .partition = scan->ranges[i].partition};
    scan->reader = kafka_reader_new(scan->config.loop, scan->config.config, scan->config.group,
                                    asked, scan->range_count, readable, scan, &scan->err);
    mem_free(asked);
    if (!scan->reader)
        end(scan);
    else
        loop_defer(scan->config.loop, &scan->task);
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct redrive_scan *scan = arg;
    if (err) {
        scan->err = *err;
        end(scan);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char id[LETTER_TOPIC_MAX];
        if (i >= scan->topic_count) {
            scan->targets[i - scan->topic_count].partitions = topics[i].exists
                                                                  ? topics[i].partitions
                                                                  : 0;
            continue;
        }
        letter_id_topic(topics[i].uuid, topics[i].name, id);
        scan->topics[i].id = mem_strdup(id);
        scan->topics[i].partitions = topics[i].exists ? topics[i].partitions : 0;
    }
    if (scan->topics[0].partitions > 0) {
        begin_reading(scan);
        return;
    }
    err_set(&scan->err, ERR_CONFIG, "there is no topic %s: oncegate topics apply creates it",
            scan->topics[0].name);
    end(scan);
}

static void describe(struct redrive_scan *scan)
{
    size_t count = scan->topic_count + scan->target_count;
    const char **names = mem_calloc(count, sizeof(*names));
    for (size_t i = 0; i < scan->topic_count; i++)
        names[i] = scan->topics[i].name;
    for (size_t i = 0; i < scan->target_count; i++)
        names[scan->topic_count + i] = scan->targets[i].name;
    kafka_admin_describe(scan->admin, names, count, false, described, scan);
    mem_free(names);
}

/* ---- making ---- */

struct redrive_scan *redrive_scan_new(const struct redrive_scan_config *config, struct err *err)
{
    struct redrive_scan *scan = mem_zalloc(sizeof(*scan));
    scan->config = *config;
    scan->table = redrive_table_new(config->group, config->filter, config->before_ms, config->id,
                                    err);
    loop_task_init(&scan->task, readable, scan);
    if (!scan->table) {
        redrive_scan_free(&scan);
        return NULL;
    }
    if (config->keep_keys)
        redrive_table_keep_keys(scan->table);
    choose_topics(scan);
    scan->admin = kafka_admin_new(config->loop, config->config, err);
    if (scan->admin) {
        describe(scan);
        return scan;
    }
    redrive_scan_free(&scan);
    return NULL;
}

void redrive_scan_free(struct redrive_scan **pointer)
{
    struct redrive_scan *scan = *pointer;
    if (!scan)
        return;
    *pointer = NULL;
    loop_task_cancel(scan->config.loop, &scan->task);
    kafka_reader_free(&scan->reader);
    if (scan->admin)
        kafka_admin_free(&scan->admin);
    redrive_table_free(&scan->table);
    for (size_t i = 0; i < scan->topic_count; i++) {
        mem_free(scan->topics[i].name);
        mem_free(scan->topics[i].id);
    }
    for (size_t i = 0; i < scan->target_count; i++) {
        mem_free(scan->targets[i].origin);
        mem_free(scan->targets[i].name);
    }
    mem_free(scan->topics);
    mem_free(scan->targets);
    mem_free(scan->ranges);
    mem_free(scan->list.items);
    mem_free(scan->late.items);
    buf_deinit(&scan->store);
    mem_free(scan);
}

struct redrive_table *redrive_scan_table(struct redrive_scan *scan)
{
    return scan->table;
}

const struct redrive_list *redrive_scan_list(struct redrive_scan *scan)
{
    return &scan->list;
}

const struct redrive_list *redrive_scan_late(struct redrive_scan *scan)
{
    return &scan->late;
}

/* By the topic's UUID, as everything is; where the topic is not there, by its name. */
static void add_missing(const struct redrive_scan *scan, struct redrive_skipped *list)
{
    const struct dlq_filter *filter = scan->config.filter;
    for (size_t i = 0; i < filter->id_count; i++) {
        const struct dlq_id *asked = &filter->ids[i];
        struct letter_id id = {slice_of(asked->topic), asked->partition, asked->offset};
        if (redrive_table_has(scan->table, asked))
            continue;
        for (size_t t = 0; t < scan->topic_count; t++) {
            if (scan->topics[t].partitions > 0 && strcmp(scan->topics[t].name, asked->topic) == 0)
                id.topic = slice_of(scan->topics[t].id);
        }
        redrive_skipped_add(list, missing(scan, asked), &id);
    }
}

struct redrive_skipped *redrive_scan_skipped(const struct redrive_scan *scan)
{
    struct redrive_skipped *list = redrive_skipped_new();
    redrive_table_add_skipped(scan->table, list);
    add_missing(scan, list);
    return list;
}

const struct redrive_counts *redrive_scan_counts(struct redrive_scan *scan)
{
    return &scan->counts;
}

int64_t redrive_scan_state_end(const struct redrive_scan *scan)
{
    return scan->state_end;
}

uint64_t redrive_scan_read(const struct redrive_scan *scan)
{
    return scan->read;
}
