/* What admin.c and admin_list.c share. For these files only. */
#ifndef OG_KAFKA_ADMIN_STATE_H
#define OG_KAFKA_ADMIN_STATE_H

#include <librdkafka/rdkafka.h>

#include "kafka/admin.h"
#include "kafka/wake.h"

enum admin_kind { ADMIN_DESCRIBE, ADMIN_CREATE, ADMIN_DELETE };

struct admin_request {
    enum admin_kind kind;
    bool with_configs;
    bool nothing; /* not one topic that could be asked for */
    bool last;    /* describe: asked again, with a controller there; an error is the answer */
    size_t count;
    struct kafka_topic *topics; /* count; of create only the names */
    char **failed;              /* create: count */
    void (*described)(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err);
    void (*created)(void *arg, const char *const *failed, size_t count, const struct err *err);
    void (*deleted)(void *arg, int64_t begin, const struct err *err);
    int64_t begin; /* delete: where the log begins */
    void *arg;
    struct admin_request *next;
};

struct admin_listing; /* admin_list.c */
struct admin_bounds;  /* admin_bounds.c */

struct kafka_admin {
    struct loop *loop;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct wake wake;
    struct loop_task serve_task;
    struct loop_task nothing_task;
    struct admin_request *requests;
    struct admin_listing *listings;
    struct admin_bounds *bounds;
    struct loop_task bounds_task; /* answers questions about nothing */
    struct wake *list_wake;
    bool no_controller; /* by the last listing: describe by listing */
};

/* admin_bounds.c */
void admin_bounds_init(struct kafka_admin *admin);
void admin_bounds_event(struct kafka_admin *admin, rd_kafka_event_t *event);
/* Answers what is open with err. */
void admin_bounds_deinit(struct kafka_admin *admin, const struct err *err);

struct admin_listed {
    const char *name;
    int32_t partitions;
    int32_t replication;
};
/* All topics with their sizes; topics is valid during sized only. controller: the cluster has one.
 */
void admin_list_sized(struct kafka_admin *admin,
                      void (*sized)(struct kafka_admin *admin, void *arg,
                                    const struct admin_listed *topics, size_t count,
                                    bool controller, const struct err *err),
                      void *arg);

bool admin_list_init(struct kafka_admin *admin, struct err *err) MUST_CHECK;
/* Waits for the threads, each at most as long as its request may take. */
/* Cancels all listings; returns those that are under way, for admin_list_end, which waits for them
 * on whatever thread. */
void *admin_list_deinit(struct kafka_admin *admin) MUST_CHECK;
void admin_list_end(void *listings);

#endif
