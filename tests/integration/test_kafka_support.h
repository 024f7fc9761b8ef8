/* What the Kafka tests share: a broker, topics, records made with librdkafka alone, and a group
 * member that notes what happens to it. */
#ifndef OG_TEST_KAFKA_SUPPORT_H
#define OG_TEST_KAFKA_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "base/loop.h"
#include "base/metrics.h"
#include "kafka/admin.h"
#include "kafka/consumer.h"

/* The broker of $ONCEGATE_TEST_KAFKA, or one started by scripts/kafka; exits with 77 where none can
 * be had. */
const char *support_bootstrap(void);
void support_stop(void);
/* Kills the broker, or starts it again with its port and its data. False: it is not ours. */
bool support_broker_down(void);
bool support_broker_up(void);
/* The broker stands still (SIGSTOP), or goes on. False: it is not ours. */
bool support_broker_freeze(void);
bool support_broker_thaw(void);

/* A configuration that knows the broker only; support_property adds. */
struct config *support_config(const char *bootstrap);
void support_property(struct properties *props, const char *name, const char *value);
void support_config_free(struct config **config);

struct loop *support_loop(void);
/* Turns the loop until ready(arg); fails the test after seconds. */
void support_wait(struct loop *loop, bool (*ready)(void *arg), void *arg, int seconds,
                  const char *what);

/* A name that no test used before. Static ring of eight. */
const char *support_name(const char *prefix);
void support_topic(struct loop *loop, const struct config *config, const char *topic,
                   int32_t partitions, const struct property *configs, size_t config_count);

rd_kafka_t *support_client(const char *bootstrap, rd_kafka_type_t type, const char *const *props);
/* count records "v<n>" with key "k<n % 10>" to one partition. */
void support_produce(const char *bootstrap, const char *topic, int32_t partition, int count);
/* The committed offset of the group as the broker has it; -1 none. */
int64_t support_committed(const char *bootstrap, const char *group, const char *topic,
                          int32_t partition);
void support_set_committed(const char *bootstrap, const char *group, const char *topic,
                           int32_t partition, int64_t offset);
/* The same with metadata beside it, and what stands there ("" for none; static, ring of four). */
void support_commit_note(const char *bootstrap, const char *group, const char *topic,
                         int32_t partition, int64_t offset, const char *note);
const char *support_committed_note(const char *bootstrap, const char *group, const char *topic,
                                   int32_t partition);
/* Returns when the broker has it no more. */
void support_delete_topic(const char *bootstrap, const char *topic);
/* Three records in a transaction that is aborted: offsets without records at the end. */
void support_abort(const char *bootstrap, const char *topic, int32_t partition);
void support_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                            int64_t before);

/* What a test stands on; the file's set-up adds what it needs, rig_tear_down frees what is there.
 */
struct rig {
    struct loop *loop;
    struct config *config;
    const char *bootstrap;
    const char *topic, *group;
    const char *topics[3];
    struct metrics *metrics;
    struct kafka_admin *admin;
};

/* A loop and a configuration for the broker of support_bootstrap. Static: one at a time. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* A new topic. */
const char *rig_topic(struct rig *rig, int32_t partitions);
#define RIGGED(test, set_up) cmocka_unit_test_setup_teardown(test, set_up, rig_tear_down)

/* A group member. Takes nothing by itself unless `taking` is set. */
#define MEMBER_MAX 64
struct member {
    struct kafka_consumer *consumer;
    struct route_config route;
    enum offset_start start; /* the answer to `missing` */
    uint32_t worker;
    bool hold_revoke; /* the test answers itself */
    bool taking;
    int budget; /* records per `readable`; 0: no bound */

    struct kafka_partition *partitions[MEMBER_MAX];
    size_t partition_count;
    int assigned, revoked, lost, missing, out_of_range, troubles;
    size_t last_missing;
    bool missing_out_of_range, missing_former;
    int64_t missing_committed;
    struct kafka_partition *bad;
    int64_t bad_offset;
    struct err trouble;

    int64_t next[MEMBER_MAX]; /* by index in partitions: the next offset, at least */
    int64_t seen[MEMBER_MAX];
    int64_t records;
    int disorder;
    struct kafka_partition *skip; /* is not taken from */
    const char *written;          /* a topic that it looks at without consuming it; or NULL */
    int made_again;
};

void member_start(struct member *member, struct loop *loop, const struct config *config,
                  const char *group, const char **topics, size_t topic_count);
void member_stop(struct member *member);
/* Index of topic/partition, or -1. */
int member_find(const struct member *member, const char *topic, int32_t partition);
void member_take(struct member *member);
/* Waits until count records in all were taken. */
void member_take_all(struct rig *rig, struct member *member, int count);

struct commit_result {
    int calls;
    struct err err; /* code ERR_NONE: fine */
};
void member_commit(struct member *member, struct kafka_partition *partition, int64_t offset,
                   struct commit_result *result);
void support_await_commit(struct loop *loop, struct commit_result *result);

/* Conditions for support_wait. */
bool member_is_assigned(void *arg);
bool member_is_revoked(void *arg);
bool member_is_out_of_range(void *arg);

#endif
