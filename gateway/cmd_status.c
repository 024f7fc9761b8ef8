/* oncegate status: asks the running gateway's /status and prints it. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli.h"

#define ANSWER_MAX (64u << 20)

static int connect_to(const struct config *config, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[8];
    int fd = -1;
    snprintf(port, sizeof(port), "%u", (unsigned)config->admin.port);
    if (getaddrinfo(config->admin.host, port, &hints, &list) == 0) {
        for (struct addrinfo *it = list; it && fd < 0; it = it->ai_next) {
            struct timeval limit = {.tv_sec = 5};
            fd = socket(it->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (fd < 0)
                continue;
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
            if (connect(fd, it->ai_addr, it->ai_addrlen) != 0) {
                close(fd);
                fd = -1;
            }
        }
        freeaddrinfo(list);
    }
    if (fd < 0)
        (void)err_set(err, ERR_UNAVAILABLE,
                      "no gateway answers at %s:%s (admin.listen): is `oncegate run` up?",
                      config->admin.host, port);
    return fd;
}

/* HTTP/1.0, so that the body ends with the connection. */
static bool fetch(const struct config *config, struct buf *body, struct err *err)
{
    static const char request[] = "GET /status HTTP/1.0\r\nHost: oncegate\r\n\r\n";
    char chunk[16384];
    ssize_t n = 0;
    char *start;
    int fd = connect_to(config, err);
    if (fd < 0)
        return false;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1) {
        while (body->len < ANSWER_MAX && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
            buf_add(body, chunk, (size_t)n);
    }
    close(fd);
    start = body->len > 0 ? strstr(body->data, "\r\n\r\n") : NULL;
    if (!start || strncmp(body->data, "HTTP/1.", 7) != 0 || strncmp(body->data + 9, "200", 3) != 0)
        return err_set(err, ERR_UNAVAILABLE, "the gateway did not answer with its status");
    start += 4;
    memmove(body->data, start, body->len - (size_t)(start - body->data) + 1);
    body->len = strlen(body->data);
    return true;
}

static const char *text(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return "";
    return json_object_get_string(value);
}

static int64_t number(struct json_object *object, const char *name, int64_t missing)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return missing;
    return json_object_get_int64(value);
}

static void print_partitions(struct json_object *route)
{
    struct json_object *list = NULL;
    size_t count;
    if (!json_object_object_get_ex(route, "partitions", &list))
        return;
    count = json_object_array_length(list);
    if (count > 0)
        printf("  %-40s %9s %10s %10s %8s  %s\n", "PARTITION", "LAG", "COMMITTED", "WATERMARK",
               "OPEN", "WHY IT WAITS");
    for (size_t i = 0; i < count; i++) {
        struct json_object *part = json_object_array_get_idx(list, i);
        int64_t lag = number(part, "lag", -1);
        char name[300], lag_text[24];
        snprintf(name, sizeof(name), "%s/%lld", text(part, "topic"),
                 (long long)number(part, "partition", -1));
        snprintf(lag_text, sizeof(lag_text), "%lld", (long long)lag);
        printf("  %-40s %9s %10lld %10lld %8lld  %s%s\n", name, lag < 0 ? "unknown" : lag_text,
               (long long)number(part, "committed", -1), (long long)number(part, "watermark", -1),
               (long long)number(part, "open", 0),
               number(part, "stuck_ms", -1) >= 0 ? "STUCK: " : "", text(part, "why"));
    }
}

static void print_stuck(struct json_object *route)
{
    struct json_object *list = NULL;
    if (!json_object_object_get_ex(route, "stuck", &list))
        return;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *record = json_object_array_get_idx(list, i);
        printf("  STUCK for %lld s: %s/%lld offset %lld key %s: %s\n",
               (long long)number(record, "ms", 0) / 1000, text(record, "topic"),
               (long long)number(record, "partition", -1), (long long)number(record, "offset", -1),
               text(record, "key"), text(record, "why"));
    }
}

static bool print_table(struct json_object *status, const char *only)
{
    struct json_object *routes = NULL;
    bool any = false;
    if (!json_object_object_get_ex(status, "routes", &routes))
        return false;
    for (size_t i = 0; i < json_object_array_length(routes); i++) {
        struct json_object *route = json_object_array_get_idx(routes, i);
        if (only && strcmp(text(route, "name"), only) != 0)
            continue;
        any = true;
        printf("%s  group %s  worker %s  %s  breaker %s\n", text(route, "name"),
               text(route, "group"), text(route, "worker"), text(route, "state"),
               text(route, "breaker"));
        if (text(route, "why")[0])
            printf("  why: %s\n", text(route, "why"));
        printf("  in flight %s records, %s bytes; handler slots %s of %s; followers in memory %s\n",
               text(route, "in_flight_records"), text(route, "in_flight_bytes"),
               text(route, "slots_used"), text(route, "slots"), text(route, "followers_in_memory"));
        print_stuck(route);
        print_partitions(route);
    }
    return any;
}

static void print_spool(struct json_object *status)
{
    struct json_object *spool = NULL;
    char since[STR_RFC3339_MAX] = "";
    int64_t oldest_ms;
    if (!json_object_object_get_ex(status, "spool", &spool))
        return;
    oldest_ms = number(spool, "oldest_ms", 0);
    if (oldest_ms > 0)
        str_rfc3339_from_ms(oldest_ms, since);
    printf("spool  %s dead letters wait, %s of %s bytes%s%s  %s\n", text(spool, "records"),
           text(spool, "bytes"), text(spool, "max"), since[0] ? ", since " : "", since,
           text(spool, "dir"));
    if (text(spool, "why")[0])
        printf("  why: %s\n", text(spool, "why"));
}

static int print(struct cli *cli, const struct buf *body)
{
    struct json_object *status = json_tokener_parse(body->data);
    const char *only = cli->argc > 0 ? cli->argv[0] : NULL;
    bool any = false;
    if (!status) {
        fputs("oncegate: the gateway's answer is no JSON\n", stderr);
        return EXIT_FAIL;
    }
    if (cli->output && strcmp(cli->output, "table") != 0) {
        fwrite(body->data, 1, body->len, stdout);
        any = true;
    } else {
        any = print_table(status, only);
        if (!only)
            print_spool(status);
    }
    json_object_put(status);
    if (!any && only)
        fprintf(stderr, "oncegate: no such route: %s\n", only);
    return any ? EXIT_OK : EXIT_FAIL;
}

int cmd_status(struct cli *cli)
{
    struct config *config;
    struct buf body = {0};
    struct err err = {0};
    int code = EXIT_OK;
    if (cli->argc > 1)
        return cli_usage("status", "status takes one route at most");
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    code = fetch(config, &body, &err) ? print(cli, &body) : cli_fail(&err);
    buf_deinit(&body);
    config_free(&config);
    return code;
}
