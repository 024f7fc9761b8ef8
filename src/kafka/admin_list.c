/*
 * All topics of the cluster. librdkafka has only a blocking call for it (rd_kafka_metadata), so
 * each listing runs on a thread of its own, which touches nothing but its listing and the client
 * handle, and signals an eventfd when it is done; the loop joins it then.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "kafka/admin_state.h"
#include "kafka/client_error.h"

#define LIST_TIMEOUT_MS 5000

struct admin_listing {
    rd_kafka_t *rk;
    int fd; /* the admin's wake, by a descriptor of its own: it may outlive the admin */
    pthread_t thread;
    bool started;
    atomic_bool finished; /* what follows is the loop's once this is set */
    rd_kafka_resp_err_t code;
    char **names;
    struct admin_listed *topics; /* the same ones, with their sizes */
    size_t count;
    bool controller;
    void (*done)(void *arg, const char *const *names, size_t count, const struct err *err);
    void (*sized)(struct kafka_admin *admin, void *arg, const struct admin_listed *topics,
                  size_t count, bool controller, const struct err *err); /* instead of done */
    void *arg;
    struct admin_listing *next;
};

static bool is_internal(const char *name)
{
    return strncmp(name, "__", 2) == 0;
}

static void keep_topic(struct admin_listing *listing, const rd_kafka_metadata_topic_t *topic)
{
    struct admin_listed *listed = &listing->topics[listing->count];

    if (is_internal(topic->topic))
        return;
    listing->names[listing->count] = mem_strdup(topic->topic);
    listed->name = listing->names[listing->count++];
    listed->partitions = topic->partition_cnt;
    listed->replication = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
}

/* The number that the listing's answer has left with the client; a mock cluster's is nobody's. */
static bool has_controller(rd_kafka_t *rk, const struct rd_kafka_metadata *metadata)
{
    int32_t controller = rd_kafka_controllerid(rk, 0);

    for (int i = 0; i < metadata->broker_cnt; i++) {
        if (metadata->brokers[i].id == controller)
            return true;
    }
    return false;
}

static void *run_listing(void *arg)
{
    struct admin_listing *listing = arg;
    const struct rd_kafka_metadata *metadata = NULL;
    const uint64_t one = 1;
    ssize_t written;

    listing->code = rd_kafka_metadata(listing->rk, 1, NULL, &metadata, LIST_TIMEOUT_MS);
    if (listing->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        listing->names = mem_calloc((size_t)metadata->topic_cnt + 1, sizeof(char *));
        listing->topics = mem_calloc((size_t)metadata->topic_cnt + 1, sizeof(*listing->topics));
        for (int i = 0; i < metadata->topic_cnt; i++)
            keep_topic(listing, &metadata->topics[i]);
        listing->controller = has_controller(listing->rk, metadata);
        rd_kafka_metadata_destroy(metadata);
    }
    atomic_store(&listing->finished, true);
    do {
        written = write(listing->fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    return NULL;
}

static void listing_free(struct admin_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        mem_free(listing->names[i]);
    mem_free(listing->names);
    mem_free(listing->topics);
    if (listing->fd >= 0)
        close(listing->fd);
    mem_free(listing);
}

static void answer(struct kafka_admin *admin, struct admin_listing *listing)
{
    struct err err;
    const struct err *problem = NULL;

    if (listing->started)
        pthread_join(listing->thread, NULL);
    if (listing->code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&err, listing->code, "listing topics");
        problem = &err;
    }
    if (listing->sized != NULL)
        listing->sized(admin, listing->arg, listing->topics, listing->count, listing->controller,
                       problem);
    else
        listing->done(listing->arg, (const char *const *)listing->names, listing->count, problem);
    listing_free(listing);
}

static void on_wake(void *arg)
{
    struct kafka_admin *admin = arg;
    struct admin_listing **at = &admin->listings;

    while (*at != NULL) {
        struct admin_listing *listing = *at;

        if (!atomic_load(&listing->finished)) {
            at = &listing->next;
            continue;
        }
        *at = listing->next;
        answer(admin, listing);
        /* The answer may have begun another listing. */
        at = &admin->listings;
    }
}

static void start_listing(struct kafka_admin *admin, struct admin_listing *listing)
{
    listing->rk = admin->rk;
    listing->fd = fcntl(admin->list_wake->fd, F_DUPFD_CLOEXEC, 0);
    listing->next = admin->listings;
    admin->listings = listing;
    if (listing->fd >= 0 && pthread_create(&listing->thread, NULL, run_listing, listing) == 0) {
        listing->started = true;
        return;
    }
    listing->code = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    atomic_store(&listing->finished, true);
    wake_signal(admin->list_wake);
}

void kafka_admin_list(struct kafka_admin *admin,
                      void (*done)(void *arg, const char *const *names, size_t count,
                                   const struct err *err),
                      void *arg)
{
    struct admin_listing *listing = mem_zalloc(sizeof(*listing));

    listing->done = done;
    listing->arg = arg;
    start_listing(admin, listing);
}

void admin_list_sized(struct kafka_admin *admin,
                      void (*sized)(struct kafka_admin *admin, void *arg,
                                    const struct admin_listed *topics, size_t count,
                                    bool controller, const struct err *err),
                      void *arg)
{
    struct admin_listing *listing = mem_zalloc(sizeof(*listing));

    listing->sized = sized;
    listing->arg = arg;
    start_listing(admin, listing);
}

bool admin_list_init(struct kafka_admin *admin, struct err *err)
{
    admin->list_wake = mem_zalloc(sizeof(*admin->list_wake));
    return wake_init(admin->list_wake, admin->loop, on_wake, admin, err);
}

void admin_list_end(void *listings)
{
    struct admin_listing *listing = listings, *next;

    for (; listing != NULL; listing = next) {
        next = listing->next;
        if (listing->started)
            pthread_join(listing->thread, NULL);
        listing_free(listing);
    }
}

void *admin_list_deinit(struct kafka_admin *admin)
{
    struct admin_listing *listings = admin->listings;
    struct err cancelled = {0};

    admin->listings = NULL;
    err_set(&cancelled, ERR_CANCELLED, "given up");
    for (struct admin_listing *listing = listings; listing != NULL; listing = listing->next) {
        if (listing->sized == NULL) /* the request that a sized one serves is told by its owner */
            listing->done(listing->arg, NULL, 0, &cancelled);
    }
    if (admin->list_wake == NULL)
        return listings;
    wake_deinit(admin->list_wake);
    mem_free(admin->list_wake);
    admin->list_wake = NULL;
    return listings;
}
