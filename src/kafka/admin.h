/* Topics: what is there, what is to be made. Asynchronous on a loop; commands run a loop of their
 * own until done. */
#ifndef OG_KAFKA_ADMIN_H
#define OG_KAFKA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct kafka_admin;

struct kafka_admin *kafka_admin_new(struct loop *loop, const struct config *config,
                                    struct err *err) MUST_CHECK;
/* Questions that are open are answered with ERR_CANCELLED. */
void kafka_admin_free(struct kafka_admin **admin);

#define KAFKA_UUID_MAX 40

struct kafka_topic {
    char *name;
    bool exists;
    int32_t partitions;
    int32_t replication;
    char uuid[KAFKA_UUID_MAX]; /* base64 text; "" where the broker does not say */
    /* from DescribeConfigs; "" / -1 where not asked for or not allowed */
    char cleanup_policy[64];
    char timestamp_type[32];
    int64_t retention_ms; /* -1: for ever */
    int32_t min_insync_replicas;
    int64_t max_message_bytes;
};

/* Describes names (in order); topics is valid during done only. err set: nothing could be learnt
 * (brokers away, denied). */
void kafka_admin_describe(struct kafka_admin *admin, const char *const *names, size_t count,
                          bool with_configs,
                          void (*done)(void *arg, const struct kafka_topic *topics, size_t count,
                                       const struct err *err),
                          void *arg);

/* All topic names of the cluster, internal ones left out. */
void kafka_admin_list(struct kafka_admin *admin,
                      void (*done)(void *arg, const char *const *names, size_t count,
                                   const struct err *err),
                      void *arg);

struct kafka_bounds {
    const char *topic; /* the caller's, as long as the question is open */
    int32_t partition;
    int64_t begin; /* the first offset that the log still has; -1: not known (no such partition) */
    int64_t end;   /* behind the last committed one; -1: not known */
};
/* Where logs begin and end. Of asked only topic and partition count; bounds is valid during done
 * only, in the same order. */
void kafka_admin_bounds(struct kafka_admin *admin, const struct kafka_bounds *asked, size_t count,
                        void (*done)(void *arg, const struct kafka_bounds *bounds, size_t count,
                                     const struct err *err),
                        void *arg);

struct kafka_new_topic {
    const char *name;
    int32_t partitions;
    int32_t replication; /* -1: the broker's default */
    const struct property *configs;
    size_t config_count;
};
/* failed[i]: text for topic i or NULL; "exists already" is no failure. */
void kafka_admin_create(struct kafka_admin *admin, const struct kafka_new_topic *topics,
                        size_t count,
                        void (*done)(void *arg, const char *const *failed, size_t count,
                                     const struct err *err),
                        void *arg);

/* Deletes the records of a partition below an offset, for ever: all that Kafka can delete of a log.
 * begin: where the log begins now. */
void kafka_admin_delete_below(struct kafka_admin *admin, const char *topic, int32_t partition,
                              int64_t offset,
                              void (*done)(void *arg, int64_t begin, const struct err *err),
                              void *arg);

/* Checks the kafka properties against what this program keeps for itself and what librdkafka knows;
 * for `check` and config_load's caller. Returns a heap text of problems, one per line "name: text",
 * or NULL. */
char *kafka_check_properties(const struct properties *props, const char *path);

#endif
