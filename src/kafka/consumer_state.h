/*
 * What the parts of the consumer share: consumer.c (membership, events), start.c (where to begin),
 * assignment.c (partitions, their queues, taking) and commit.c. For these files only.
 *
 *   joining --assign event--> starting --offsets known--> assigned --revoke event--> revoking
 *      ^                         |                                                      |
 *      +------revoke event-------+                 (lost: no answer awaited)            |
 *      +------------------------------------------------------revoke_done---------------+
 */
#ifndef OG_KAFKA_CONSUMER_STATE_H
#define OG_KAFKA_CONSUMER_STATE_H

#include <librdkafka/rdkafka.h>
#include <sys/queue.h>

#include "kafka/consumer.h"
#include "kafka/epochs.h"
#include "kafka/wake.h"

enum member_state {
    MEMBER_JOINING,  /* no assignment; also between a revocation and the next one */
    MEMBER_STARTING, /* assigned by the group, start offsets not known yet */
    MEMBER_ASSIGNED, /* announced to the flow */
    MEMBER_REVOKING, /* announced as revoked, the flow drains */
    MEMBER_RENEWING, /* see renew.c: no assignment until there is another client */
    MEMBER_FAILED,   /* a fatal error: only free is left */
};

/* What the opaque of an entry to be assigned says: where the log ended, and whether the record
 * before the offset is to be looked at. */
static inline void *assign_note(int64_t end_offset, bool look_back)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return (void *)(((uintptr_t)(end_offset + 1) << 1) | look_back);
}

static inline int64_t assign_note_end(const void *note)
{
    return (int64_t)((uintptr_t)note >> 1) - 1;
}

static inline bool assign_note_look_back(const void *note)
{
    return ((uintptr_t)note & 1) != 0;
}

/* A partition of the assignment. pub comes first: the two are cast into each other. */
struct partition {
    struct kafka_partition pub;
    rd_kafka_queue_t *queue; /* its fetch queue, not forwarded */
    int64_t position;        /* the next offset to take: lower ones are dropped */
    int32_t position_epoch;  /* leader epoch of the last one taken, -1 unknown */
    bool look_back;          /* is the record before the position still the one that was taken? */
    struct epochs epochs;    /* of what was taken, and of the one before */
    int64_t committed;       /* as far as acknowledged; -1 none */
    bool halted;             /* out of range: yields nothing until it is restarted */
    bool announce;           /* the flow has not been told yet */
    int64_t bad_offset;      /* the offset that was out of range */
    bool restarting;
    enum offset_start restart_at;
    int64_t restart_offset;
};

struct known_topic {
    char *name;   /* a record's topic points here */
    char *note;   /* see topic_ids.c; NULL: the broker does not say which topic it is */
    bool written; /* it is looked at for the producer's sake, not consumed */
    bool again;   /* it was made again since this process looks at it */
};

/* topic_ids.c */
struct topic_ids {
    struct loop_timer timer; /* to the next look */
    uint64_t query;          /* 0: none in flight */
    bool other;              /* the last look found another one */
    bool look_again;         /* the answer to come is of before what is to be known */
    bool unanswered;         /* the last question, which topics there are, was */
};

/* subscribe.c */
struct subscribe {
    rd_kafka_topic_partition_list_t *topics;
    struct loop_timer timer; /* to the next look */
    uint64_t query;
    unsigned looks;
};

enum rebalance_kind { REBALANCE_NONE, REBALANCE_ASSIGN, REBALANCE_REVOKE };

#define TROUBLES_MAX 8

struct former;    /* renew.c */
struct start;     /* start.c */
struct commit;    /* commit.c */
struct committed; /* committed.c */

/* What a record is backed by; pooled. */
struct taken {
    rd_kafka_message_t *message;
    struct kafka_consumer *consumer;
    unsigned client;            /* the number of the client that the message is of */
    struct taken *next;         /* in the pool */
    struct record_header *more; /* instead of headers where they are too many */
    struct record_header headers[12];
};

struct kafka_consumer {
    struct loop *loop;
    struct kafka_consumer_config config; /* without the topics */
    struct kafka_consumer_events events;
    char *route; /* names for messages */
    char *group;
    struct known_topic *topics;
    size_t topic_count;
    struct topic_ids topic_ids;
    bool renewing; /* until there is another client */
    struct loop_timer renew_timer;
    unsigned client; /* counts them */
    SLIST_HEAD(, former) formers;

    rd_kafka_t *rk;
    rd_kafka_queue_t *group_queue; /* rebalances, errors, librdkafka's own callbacks */
    rd_kafka_queue_t *reply_queue; /* results of commits and offset queries */
    struct wake control;           /* of the two above */
    struct wake data;              /* of all partitions' queues */
    struct subscribe subscribe;
    struct loop_timer poll_timer;  /* polls at least that often, whatever happens */
    struct loop_task control_task; /* goes on where a bounded drain stopped */
    struct loop_task readable_task;
    struct loop_task halted_task;  /* announces what is out of range */
    struct loop_task trouble_task; /* announces troubles */
    struct err troubles[TROUBLES_MAX];
    size_t trouble_count;
    uint64_t next_error_ns; /* no connection's error is told before */

    enum member_state state;
    bool joined;
    bool lost;
    bool closing;
    uint64_t generation;         /* counts assignments: what belongs to an older one is void */
    uint64_t last_query;         /* numbers offset queries: an answer to an older one is void */
    enum rebalance_kind pending; /* what the rebalance callback left to do */
    bool pending_lost;
    bool pending_fatal;
    rd_kafka_topic_partition_list_t *pending_list;

    struct start *start; /* not NULL while starting */
    struct loop_timer restart_timer;
    struct err restart_err;
    uint64_t restart_query; /* 0: none in flight */
    unsigned restart_left;
    struct partition **partitions;
    struct kafka_partition **public_partitions; /* the same ones, as the flow sees them */
    size_t partition_count;
    bool reassign; /* positions are to be installed again */

    struct commit *commit;       /* the one in flight, or NULL */
    struct committed *committed; /* questions that are not answered yet */

    struct taken *pool;
    size_t taken_count; /* records of this client that are not released yet */
};

/* The consumer's own copy of a topic name. */
const char *consumer_topic(struct kafka_consumer *consumer, const char *topic);
/* Tells the flow, later in this turn or in the next one. */
void consumer_trouble(struct kafka_consumer *consumer, const struct err *err);

/* A client of librdkafka and its queues. */
struct client {
    rd_kafka_t *rk;
    rd_kafka_queue_t *group_queue;
    rd_kafka_queue_t *reply_queue;
};
/* consumer.c. connect: makes the client and its queues; where that fails the consumer's are as they
 * were. end_client: of one that is not the consumer's any more; waits for timeout_ms at most.
 * in_use: records of it are still to be released; it leaves its group, and what is returned is to
 * be given to client_end_unused then. give_up: ends the assignment, or its beginning; the flow
 * drains first.
 */
bool consumer_connect(struct kafka_consumer *consumer, struct err *err) MUST_CHECK;
struct ending *consumer_end_client(struct kafka_consumer *consumer, const struct client *client,
                                   bool in_use, int64_t timeout_ms);
void consumer_give_up(struct kafka_consumer *consumer);

/* renew.c: gives up the assignment, then the client for another one; go_on: now there is none.
 * released: a record of a client that has gone, of that number. */
void renew_init(struct kafka_consumer *consumer);
void renew_deinit(struct kafka_consumer *consumer);
void renew_begin(struct kafka_consumer *consumer);
void renew_go_on(struct kafka_consumer *consumer);
void renew_released(struct kafka_consumer *consumer, unsigned client);

/* subscribe.c: looks for the topics, then subscribes; again: for another client. */
void subscribe_begin(struct kafka_consumer *consumer, const char *const *topics, size_t count);
void subscribe_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event);
void subscribe_again(struct kafka_consumer *consumer);
void subscribe_end(struct kafka_consumer *consumer);

/*
 * topic_ids.c. learn: asks which topics those of the consumer are, then calls start_on_topics.
 * watch: looks from time to time whether they still are. Where one is another the client is
 * renewed. look_first: at once, then what is halted is announced, unless that is so. note: what is
 * committed beside an offset of that topic; borrowed, NULL where it is not known. is_other: whether
 * a committed note says another topic than ours. was_made_again: this consumer has seen that.
 * believe: takes a committed one where nothing is known. forget: for another client. add: the
 * topics to be looked at, once, before anything else; also those of which nothing is assigned here,
 * since copies go to them.
 */
#define TOPIC_IDS_AGAIN_MS 1000 /* from one look that finds another topic to the next */
void topic_ids_init(struct kafka_consumer *consumer);
void topic_ids_deinit(struct kafka_consumer *consumer);
void topic_ids_add(struct kafka_consumer *consumer, const struct kafka_consumer_config *config);
void topic_ids_learn(struct kafka_consumer *consumer);
void topic_ids_watch(struct kafka_consumer *consumer);
void topic_ids_look_first(struct kafka_consumer *consumer);
void topic_ids_cancel(struct kafka_consumer *consumer);
void topic_ids_forget(struct kafka_consumer *consumer);
void topic_ids_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event);
const char *topic_ids_note(const struct kafka_consumer *consumer, const char *topic);
bool topic_ids_was_made_again(const struct kafka_consumer *consumer, const char *topic);
bool topic_ids_is_other(const char *committed, size_t len, const char *ours);
void topic_ids_believe(struct kafka_consumer *consumer, const char *topic, const char *committed,
                       size_t len);
/* Puts the note beside the offset of an entry that will be committed. */
void topic_ids_put_note(const struct kafka_consumer *consumer, rd_kafka_topic_partition_t *item);

/* start.c: finds the start offsets of list (copied), commits those that were chosen, installs. */
void start_begin(struct kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list);
void start_cancel(struct kafka_consumer *consumer);
void start_on_topics(struct kafka_consumer *consumer);
void start_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event);
void start_on_committed(struct kafka_consumer *consumer, uint64_t number,
                        const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t code);

/* committed.c: asks what the group has committed; the answer goes to start_on_committed, from
 * committed_collect. committed_take hands over the questions that are under way;
 * committed_end, of those, waits for them on whatever thread. */
void committed_send(struct kafka_consumer *consumer, uint64_t number,
                    const rd_kafka_topic_partition_list_t *list);
void committed_collect(struct kafka_consumer *consumer);
void *committed_take(struct kafka_consumer *consumer);
void committed_end(void *questions);

/* restart.c: looks up the new position of every partition that is restarting. */
void restart_begin(struct kafka_consumer *consumer);
void restart_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event);
void restart_cancel(struct kafka_consumer *consumer);

/*
 * offset_query.c: asks for first or last offsets; the answer comes to reply_queue with
 * number and kind, as offset_query_number and offset_query_kind read it.
 */
enum offset_query { QUERY_COMMITTED, QUERY_EARLIEST, QUERY_LATEST, QUERY_COMMIT };
void offset_query_send(struct kafka_consumer *consumer, uint64_t number, enum offset_query kind,
                       const rd_kafka_topic_partition_list_t *list);
void *offset_query_opaque(uint64_t number, enum offset_query kind);
uint64_t offset_query_number(rd_kafka_event_t *event);
enum offset_query offset_query_kind(rd_kafka_event_t *event);
/*
 * Calls each(arg, item) for the partitions of an answer; item->err says what failed for one alone.
 * False with err set where the whole query failed.
 */
bool offset_query_read(rd_kafka_event_t *event,
                       void (*each)(void *arg, const rd_kafka_topic_partition_t *item), void *arg,
                       struct err *err) MUST_CHECK;

/* assignment.c */
void assignment_install(struct kafka_consumer *consumer,
                        const rd_kafka_topic_partition_list_t *list);
/* Begins fetching anew at every partition's position. */
void assignment_reinstall(struct kafka_consumer *consumer);
/* Stops fetching and frees the partitions. */
void assignment_drop(struct kafka_consumer *consumer);
struct partition *assignment_find(struct kafka_consumer *consumer, const char *topic,
                                  int32_t partition);
void assignment_announce_halted(struct kafka_consumer *consumer);
void assignment_free_pool(struct kafka_consumer *consumer);

/* commit.c */
void commit_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event);
/* Frees without an answer: only when the consumer goes. */
void commit_free(struct kafka_consumer *consumer);

#endif
