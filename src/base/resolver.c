/*
 * Looks a host up with getaddrinfo in a thread of its own, so that the order of /etc/nsswitch.conf,
 * search domains and the hosts file hold as for every other program on the machine, and the loop
 * never waits for a name server. A result serves for FRESH_NS and, while a new look-up runs, for
 * STALE_NS more; a later look-up that fails for a passing reason leaves the old addresses in use.
 *
 * The thread and the loop share one job. Whoever comes second frees it: the loop when the result
 * was posted, the thread when the resolver had gone before. The thread must not touch the resolver.
 */
#include "base/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"

#define FRESH_NS (10 * NS_PER_S)
/* So much longer it serves while a new look-up runs beside it. */
#define STALE_NS (60 * NS_PER_S)
/* After a failure, for so long no new look-up: a name server in trouble is not helped by haste. */
#define FAILED_NS (200 * NS_PER_MS)

struct job {
    pthread_mutex_t lock;      /* guards abandoned and the decision to post */
    bool abandoned;            /* the resolver has gone */
    struct resolver *resolver; /* read on the loop only */
    struct loop *loop;
    char *host;
    char port[8];
    int status; /* of getaddrinfo */
    struct net_addresses found;
};

struct resolver {
    struct loop *loop;
    void (*ready)(void *arg);
    void *arg;
    char *host;
    uint16_t port;
    bool fixed;   /* nothing to look up, ever */
    bool doubted; /* see resolver_forget */
    struct net_addresses known;
    uint64_t known_until_ns;
    uint64_t failed_until_ns;
    struct job *job; /* under way, or NULL */
    char problem[160];
};

static void job_free(struct job *job)
{
    /* The thread may still be leaving the lock in which it posted. */
    pthread_mutex_lock(&job->lock);
    pthread_mutex_unlock(&job->lock);
    pthread_mutex_destroy(&job->lock);
    mem_free(job->host);
    mem_free(job);
}

static void take_found(struct net_addresses *out, const struct addrinfo *list)
{
    out->count = 0;
    for (; list && out->count < NET_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_addrlen > sizeof(out->items[0].name))
            continue;
        struct net_address *address = &out->items[out->count++];
        memcpy(&address->name, list->ai_addr, list->ai_addrlen);
        address->len = list->ai_addrlen;
    }
}

static int look_up(const char *host, const char *port, int flags, struct net_addresses *out)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(host, port, &hints, &list);
    if (status != 0)
        return status;
    take_found(out, list);
    freeaddrinfo(list);
    return out->count ? 0 : EAI_NONAME;
}

static void on_looked_up(void *arg)
{
    struct job *job = arg;

    if (job->abandoned) { /* set on this thread */
        job_free(job);
        return;
    }
    struct resolver *resolver = job->resolver;
    uint64_t now_ns = clock_mono_ns();
    resolver->job = NULL;
    resolver->doubted = false;
    if (job->status == 0) {
        resolver->known = job->found;
        resolver->known_until_ns = now_ns + FRESH_NS;
    } else {
        snprintf(resolver->problem, sizeof(resolver->problem), "no address for %.80s: %s",
                 resolver->host, gai_strerror(job->status));
        resolver->failed_until_ns = now_ns + FAILED_NS;
        if (job->status != EAI_AGAIN)
            resolver->known.count = 0;
        if (resolver->known.count)
            resolver->known_until_ns = now_ns + FRESH_NS;
    }
    job_free(job);
    resolver->ready(resolver->arg);
}

static void *run_job(void *arg)
{
    struct job *job = arg;

    job->status = look_up(job->host, job->port, AI_ADDRCONFIG, &job->found);
    if (job->status == EAI_NONAME || job->status == EAI_ADDRFAMILY)
        job->status = look_up(job->host, job->port, 0, &job->found);
    pthread_mutex_lock(&job->lock);
    bool abandoned = job->abandoned;
    if (!abandoned)
        loop_post(job->loop, on_looked_up, job);
    pthread_mutex_unlock(&job->lock);
    if (abandoned)
        job_free(job);
    return NULL;
}

static void begin_job(struct resolver *resolver)
{
    struct job *job = mem_zalloc(sizeof(*job));
    pthread_attr_t attr;
    pthread_t thread;

    pthread_mutex_init(&job->lock, NULL);
    job->resolver = resolver;
    job->loop = resolver->loop;
    job->host = mem_strdup(resolver->host);
    snprintf(job->port, sizeof(job->port), "%u", (unsigned)resolver->port);
    resolver->job = job;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, run_job, job);
    pthread_attr_destroy(&attr);
    if (failed) {
        job->status = EAI_AGAIN;
        loop_post(resolver->loop, on_looked_up, job);
    }
}

static bool set_unix(struct net_addresses *known, const char *path, struct err *err)
{
    struct sockaddr_un *name = (struct sockaddr_un *)(void *)&known->items[0].name;

    if (strlen(path) >= sizeof(name->sun_path))
        return err_set(err, ERR_CONFIG, "socket path '%s' is longer than %zu bytes", path,
                       sizeof(name->sun_path) - 1);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, strlen(path) + 1);
    known->items[0].len = sizeof(*name);
    known->count = 1;
    return true;
}

struct resolver *resolver_new(struct loop *loop, const char *host, uint16_t port,
                              const char *unix_path, void (*ready)(void *arg), void *arg,
                              struct err *err)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));
    char port_text[8];

    resolver->loop = loop;
    resolver->ready = ready;
    resolver->arg = arg;
    if (unix_path) {
        resolver->fixed = true;
        if (set_unix(&resolver->known, unix_path, err))
            return resolver;
        resolver_free(&resolver);
        return NULL;
    }
    resolver->host = mem_strdup(host);
    resolver->port = port;
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    resolver->fixed = look_up(host, port_text, AI_NUMERICHOST, &resolver->known) == 0;
    return resolver;
}

void resolver_free(struct resolver **resolver)
{
    if (!*resolver)
        return;
    struct job *job = (*resolver)->job;
    if (job) {
        pthread_mutex_lock(&job->lock);
        job->abandoned = true;
        pthread_mutex_unlock(&job->lock);
    }
    mem_free((*resolver)->host);
    mem_free(*resolver);
    *resolver = NULL;
}

enum resolver_state resolver_look(struct resolver *resolver, uint64_t now_ns)
{
    bool believed = resolver->known.count && !resolver->doubted;
    if (resolver->fixed || (believed && now_ns < resolver->known_until_ns))
        return RESOLVER_READY;
    bool usable = believed && now_ns < resolver->known_until_ns + STALE_NS;
    if (!resolver->job && now_ns < resolver->failed_until_ns)
        return usable ? RESOLVER_READY : RESOLVER_FAILED;
    if (!resolver->job)
        begin_job(resolver);
    return usable ? RESOLVER_READY : RESOLVER_PENDING;
}

enum resolver_state resolver_result(const struct resolver *resolver)
{
    return resolver->known.count ? RESOLVER_READY : RESOLVER_FAILED;
}

const struct net_addresses *resolver_addresses(const struct resolver *resolver)
{
    return &resolver->known;
}

const char *resolver_problem(const struct resolver *resolver)
{
    return resolver->problem;
}

void resolver_forget(struct resolver *resolver)
{
    resolver->doubted = true;
}

void net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX])
{
    const struct sockaddr *name = (const struct sockaddr *)(const void *)&address->name;
    char host[INET6_ADDRSTRLEN] = "?";

    if (name->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)name;
        snprintf(out, NET_ADDRESS_TEXT_MAX, "unix:%s", un->sun_path);
    } else if (name->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)name;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(out, NET_ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)name;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(out, NET_ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
    }
}
