/*
 * oncegate check --connect: what the configuration names is there and answers: brokers and topics,
 * Redis, the handlers' addresses. Nothing is written anywhere but the sentinel that the ledger
 * leaves at its first visit.
 */
#include "check_connect.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "redis_task.h"
#include "topic_plan.h"

#define TIMEOUT_MS 10000

static int report(bool ok, const char *what, const char *text)
{
    printf("%-5s %-28s %s\n", ok ? "ok" : "FAIL", what, text);
    return ok ? 0 : 1;
}

static int check_topics(const struct config *config)
{
    struct plan plan;
    struct err err = {0};
    int failed = 0;
    if (!plan_make(config, 0, TIMEOUT_MS, &plan, &err)) {
        plan_free(&plan);
        return report(false, "kafka", err.text);
    }
    failed += report(true, "kafka", "the brokers answer");
    for (size_t i = 0; i < plan.count; i++) {
        const struct plan_item *item = &plan.items[i];
        if (item->action == PLAN_CREATE)
            failed += report(false, item->topic, "missing: `oncegate topics apply` creates it");
        else if (item->action == PLAN_SOURCE_MISSING && strcmp(item->kind, "source") == 0)
            failed += report(false, item->topic, "the source topic does not exist");
        else if (item->action == PLAN_DIFFERS)
            (void)report(true, item->topic, "differs from what is advised: `oncegate topics plan`");
    }
    plan_free(&plan);
    return failed;
}

static void met(void *arg, bool known, const struct err *err)
{
    (void)known;
    redis_task_done(arg, err);
}

static int check_redis(const struct config *config)
{
    struct redis_task task;
    struct err err = {0};
    bool ok;
    if (!redis_task_init(&task, config, &err))
        return report(false, "redis", err.text);
    ledger_meet_group(task.ledger, config->routes[0].group, config->routes[0].topics[0], met,
                      &task);
    ok = redis_task_wait(&task, TIMEOUT_MS, &err);
    redis_task_deinit(&task);
    return report(ok, "redis", ok ? "answers, and takes what the ledger needs" : err.text);
}

static bool connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = false;
    if (fd >= 0 && strlen(path) < sizeof(addr.sun_path)) {
        memcpy(addr.sun_path, path, strlen(path) + 1);
        ok = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool connect_tcp(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    bool ok = false;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return false;
    for (struct addrinfo *it = list; it && !ok; it = it->ai_next) {
        struct timeval limit = {.tv_sec = 5};
        int fd = socket(it->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        ok = connect(fd, it->ai_addr, it->ai_addrlen) == 0;
        close(fd);
    }
    freeaddrinfo(list);
    return ok;
}

/* http://host:port/... ; the configuration has been checked, so the form is right. */
static bool connect_url(const char *url)
{
    bool tls = strncmp(url, "https:", 6) == 0;
    const char *start = strstr(url, "://") + 3;
    size_t len = strcspn(start, "/?#");
    char *host = mem_strndup(start, len);
    char *colon = host[0] == '[' ? strstr(host, "]:") : strchr(host, ':');
    char *name = host;
    const char *port = tls ? "443" : "80";
    bool ok;
    if (colon) {
        port = colon + (host[0] == '[' ? 2 : 1);
        *colon = '\0';
    }
    if (host[0] == '[')
        name = host + 1;
    ok = connect_tcp(name, port);
    mem_free(host);
    return ok;
}

static int check_handler(const struct route_config *route)
{
    char what[64];
    bool ok = route->handler.socket ? connect_unix(route->handler.socket)
                                    : connect_url(route->handler.url);
    snprintf(what, sizeof(what), "handler of %.40s", route->name);
    return report(ok, what,
                  ok ? "takes connections"
                     : "takes no connection: records would wait, the breaker would open");
}

int check_connect(const struct config *config, struct cli *cli)
{
    int failed = 0;
    (void)cli;
    failed += check_topics(config);
    failed += check_redis(config);
    for (size_t i = 0; i < config->route_count; i++)
        failed += check_handler(&config->routes[i]);
    return failed ? EXIT_FAIL : EXIT_OK;
}
