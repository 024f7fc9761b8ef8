/*
 * Dead-letter topics; see dead_topics.h. Everything here turns its user's loop until it is
 * answered, and gives up where nothing at all has happened for a while: a command must end.
 */
#include "dlq/dead_topics.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "dlq/patience.h"

/* ---- topics ---- */

static void add_topics(struct dlq_topics *out, const struct route_config *route, const char *only)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        char *name = config_dlq_topic(route, route->topics[t]);
        if (only && strcmp(only, name) != 0) {
            mem_free(name);
            continue;
        }
        out->items = mem_realloc(out->items, (out->count + 1) * sizeof(*out->items));
        out->items[out->count++] = (struct dlq_topic){.name = name, .route = route};
    }
}

struct described {
    struct dlq_topics *topics;
    bool done;
    struct err err;
};

static void on_described(void *arg, const struct kafka_topic *topics, size_t count,
                         const struct err *err)
{
    struct described *described = arg;
    described->done = true;
    if (err)
        described->err = *err;
    for (size_t i = 0; !err && i < count; i++) {
        struct dlq_topic *topic = &described->topics->items[i];
        topic->exists = topics[i].exists;
        topic->partitions = topics[i].partitions;
        memcpy(topic->uuid, topics[i].uuid, sizeof(topic->uuid));
    }
}

static bool describe(struct loop *loop, const struct config *config, struct dlq_topics *out,
                     struct err *err)
{
    struct described described = {.topics = out};
    const char **names = mem_calloc(out->count + 1, sizeof(*names));
    struct kafka_admin *admin = kafka_admin_new(loop, config, err);
    struct patience patience;
    bool ok = admin != NULL;
    for (size_t i = 0; i < out->count; i++)
        names[i] = out->items[i].name;
    if (ok) {
        kafka_admin_describe(admin, names, out->count, false, on_described, &described);
        patience_begin(&patience, loop);
        while (!described.done && patience_turn(&patience)) {
        }
        patience_end(&patience);
        ok = described.done && !described.err.code;
        if (described.done)
            *err = described.err;
        else
            (void)err_set_retriable(err, ERR_UNAVAILABLE, "Kafka does not tell its topics");
        described.done = true;
        kafka_admin_free(&admin);
    }
    mem_free(names);
    return ok;
}

bool dlq_topics_find(struct loop *loop, const struct config *config, const char *route,
                     const char *topic, struct dlq_topics *out, struct err *err)
{
    *out = (struct dlq_topics){0};
    for (size_t i = 0; i < config->route_count; i++) {
        if (!route || strcmp(route, config->routes[i].name) == 0)
            add_topics(out, &config->routes[i], topic);
    }
    if (out->count == 0 && topic)
        return err_set(err, ERR_USAGE, "%s is no dead-letter topic of this configuration", topic);
    if (out->count == 0)
        return err_set(err, ERR_USAGE, "no such route: %s", route ? route : "(none)");
    if (describe(loop, config, out, err))
        return true;
    dlq_topics_deinit(out);
    return false;
}

void dlq_topics_deinit(struct dlq_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++)
        mem_free(topics->items[i].name);
    mem_free(topics->items);
    *topics = (struct dlq_topics){0};
}

bool dlq_topic_exists(struct loop *loop, const struct config *config, const char *name,
                      bool *exists, struct err *err)
{
    struct dlq_topic item = {.name = (char *)(uintptr_t)name};
    struct dlq_topics one = {&item, 1};
    bool ok = describe(loop, config, &one, err);
    *exists = item.exists;
    return ok;
}

/* ---- reading ---- */

static void on_readable(void *arg)
{
    *(bool *)arg = true;
}

/* Takes what is there; true: it is over, for better or worse (err->code). */
static bool take_all(struct kafka_reader *reader, struct patience *patience,
                     bool (*each)(void *arg, const struct record *rec), void *arg, struct err *err)
{
    struct record rec;
    size_t range;
    for (;;) {
        enum kafka_read read = kafka_reader_take(reader, &rec, &range, err);
        if (read == KAFKA_READ_EMPTY)
            return false;
        if (read != KAFKA_READ_RECORD)
            return true;
        patience_moved(patience);
        if (!each(arg, &rec))
            return true;
    }
}

bool dlq_read(struct loop *loop, const struct config *config,
              const struct kafka_reader_range *ranges, size_t count,
              bool (*each)(void *arg, const struct record *rec), void *arg, struct err *err)
{
    bool readable = false, over = false, quiet = false;
    struct patience patience;
    struct kafka_reader *reader;
    *err = (struct err){0};
    if (count == 0)
        return true;
    reader = kafka_reader_new(loop, config, config->routes[0].group, ranges, count, on_readable,
                              &readable, err);
    if (!reader)
        return false;
    patience_begin(&patience, loop);
    while (!over && !quiet) {
        over = take_all(reader, &patience, each, arg, err);
        quiet = !over && !patience_turn(&patience);
    }
    patience_end(&patience);
    kafka_reader_free(&reader);
    if (quiet)
        return err_set_retriable(err, ERR_UNAVAILABLE, "Kafka does not give records of %s",
                                 ranges[0].topic);
    return err->code == ERR_NONE;
}

/* Room for all is there before the first slice is taken: the bytes do not move. */
static void keep_record(struct kept_record *kept, const struct record *rec)
{
    size_t size = rec->topic.len + rec->key.len + rec->value.len + 3;
    for (size_t i = 0; i < rec->header_count; i++)
        size += rec->headers[i].name.len + rec->headers[i].value.len + 2;
    buf_reserve(&kept->bytes, size);
    kept->headers = mem_calloc(rec->header_count + 1, sizeof(*kept->headers));
    for (size_t i = 0; i < rec->header_count; i++) {
        kept->headers[i].name = buf_keep(&kept->bytes, rec->headers[i].name);
        kept->headers[i].value = buf_keep(&kept->bytes, rec->headers[i].value);
    }
    kept->rec = *rec;
    kept->rec.topic = buf_keep(&kept->bytes, rec->topic);
    kept->rec.key = buf_keep(&kept->bytes, rec->key);
    kept->rec.value = buf_keep(&kept->bytes, rec->value);
    kept->rec.headers = kept->headers;
    kept->rec.backing = NULL;
    kept->rec.release = NULL;
}

void kept_record_deinit(struct kept_record *kept)
{
    mem_free(kept->headers);
    buf_deinit(&kept->bytes);
    *kept = (struct kept_record){0};
}

struct one {
    int64_t offset;
    bool found;
    struct kept_record *kept;
};

static bool take_one(void *arg, const struct record *rec)
{
    struct one *one = arg;
    one->found = rec->offset == one->offset;
    if (one->found)
        keep_record(one->kept, rec);
    return false;
}

bool dlq_read_one(struct loop *loop, const struct config *config, const char *topic,
                  int32_t partition, int64_t offset, struct kept_record *kept, bool *found,
                  struct err *err)
{
    struct one one = {.offset = offset, .kept = kept};
    struct kafka_reader_range range = {topic, partition, offset};
    bool ok;
    *kept = (struct kept_record){0};
    ok = dlq_read(loop, config, &range, 1, take_one, &one, err);
    if (!ok)
        kept_record_deinit(kept);
    *found = ok && one.found;
    return ok;
}

/* ---- deleting ---- */

struct deleted {
    bool done;
    int64_t begin;
    struct err err;
};

static void on_deleted(void *arg, int64_t begin, const struct err *err)
{
    struct deleted *deleted = arg;
    deleted->done = true;
    deleted->begin = begin;
    if (err)
        deleted->err = *err;
}

bool dlq_delete_below(struct loop *loop, const struct config *config, const char *topic,
                      int32_t partition, int64_t offset, int64_t *begin, struct err *err)
{
    struct deleted deleted = {0};
    struct patience patience;
    struct kafka_admin *admin = kafka_admin_new(loop, config, err);
    if (!admin)
        return false;
    kafka_admin_delete_below(admin, topic, partition, offset, on_deleted, &deleted);
    patience_begin(&patience, loop);
    while (!deleted.done && patience_turn(&patience)) {
    }
    patience_end(&patience);
    if (!deleted.done)
        (void)err_set_retriable(&deleted.err, ERR_UNAVAILABLE,
                                "Kafka does not answer: whether they are deleted is not known");
    *err = deleted.err;
    *begin = deleted.begin;
    kafka_admin_free(&admin);
    return err->code == ERR_NONE;
}
