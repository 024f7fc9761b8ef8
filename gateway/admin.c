/*
 * Admin endpoints; see admin.h. libevent's evhttp serves; a request for the status asks each
 * worker's thread and waits for it for a second at most: a worker that does not answer is reported,
 * and /livez fails. Must not: run on a worker's loop, or touch a route.
 */
#include "admin.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "spool/spool.h"

#define MAX_HEADERS       8192
#define MAX_BODY          4096
#define STATUS_WAIT_MS    1000
#define REQUEST_TIMEOUT_S 10

struct admin {
    struct evhttp *http;
    const struct config *config;
    struct metrics *metrics;
    struct spool *spool;
    struct worker **workers;
    size_t worker_count;
    bool draining;
    unsigned port;
};

/* What the workers answer to one question; freed by whoever lets go of it last. */
struct answers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned refs;
    size_t pending;
    bool ready;
    struct buf routes; /* array elements of all workers */
};

static void answers_unref(struct answers *answers)
{
    bool last;
    pthread_mutex_lock(&answers->lock);
    last = --answers->refs == 0;
    pthread_mutex_unlock(&answers->lock);
    if (!last)
        return;
    buf_deinit(&answers->routes);
    pthread_mutex_destroy(&answers->lock);
    pthread_cond_destroy(&answers->changed);
    mem_free(answers);
}

static void answered(void *arg, struct slice json, bool ready)
{
    struct answers *answers = arg;
    pthread_mutex_lock(&answers->lock);
    if (json.len > 2) {
        if (answers->routes.len > 0)
            buf_add_char(&answers->routes, ',');
        buf_add(&answers->routes, json.data + 1, json.len - 2);
    }
    answers->ready = answers->ready && ready;
    answers->pending--;
    pthread_cond_signal(&answers->changed);
    pthread_mutex_unlock(&answers->lock);
    answers_unref(answers);
}

/* Asks every worker; false where one of them did not answer in time. routes may be NULL. */
static bool ask(struct admin *admin, struct buf *routes, bool *ready)
{
    struct answers *answers = mem_zalloc(sizeof(*answers));
    uint64_t until_ns = clock_mono_ns() + STATUS_WAIT_MS * NS_PER_MS;
    bool all;
    pthread_mutex_init(&answers->lock, NULL);
    cond_init(&answers->changed);
    answers->refs = 1 + (unsigned)admin->worker_count;
    answers->pending = admin->worker_count;
    answers->ready = true;
    for (size_t i = 0; i < admin->worker_count; i++)
        worker_status(admin->workers[i], answered, answers);
    pthread_mutex_lock(&answers->lock);
    while (answers->pending > 0 && cond_wait_until(&answers->changed, &answers->lock, until_ns))
        ;
    all = answers->pending == 0;
    *ready = all && answers->ready;
    if (routes && answers->routes.len > 0)
        buf_add(routes, answers->routes.data, answers->routes.len);
    pthread_mutex_unlock(&answers->lock);
    answers_unref(answers);
    return all;
}

static void reply(struct evhttp_request *req, int code, const char *type, const struct buf *body)
{
    struct evbuffer *out = evbuffer_new();
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Cache-Control", "no-store");
    if (out && body && body->len > 0)
        evbuffer_add(out, body->data, body->len);
    evhttp_send_reply(req, code, NULL, out);
    if (out)
        evbuffer_free(out);
}

static void reply_text(struct evhttp_request *req, int code, const char *text)
{
    struct buf body = {0};
    buf_printf(&body, "%s\n", text);
    reply(req, code, "text/plain; charset=utf-8", &body);
    buf_deinit(&body);
}

static bool is_get(struct evhttp_request *req)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD)
        return true;
    reply_text(req, 405, "use GET");
    return false;
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
    struct admin *admin = arg;
    struct buf body = {0};
    if (!is_get(req))
        return;
    metrics_render(admin->metrics, &body);
    reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
    buf_deinit(&body);
}

static void on_livez(struct evhttp_request *req, void *arg)
{
    bool ready;
    if (!is_get(req))
        return;
    if (ask(arg, NULL, &ready))
        reply_text(req, 200, "live");
    else
        reply_text(req, 503, "a worker does not answer");
}

static void on_readyz(struct evhttp_request *req, void *arg)
{
    struct admin *admin = arg;
    bool ready = false;
    if (!is_get(req))
        return;
    if (admin->draining)
        reply_text(req, 503, "draining");
    else if (ask(admin, NULL, &ready) && ready)
        reply_text(req, 200, "ready");
    else
        reply_text(req, 503, "not ready: see /status");
}

static void on_status(struct evhttp_request *req, void *arg)
{
    struct admin *admin = arg;
    struct buf body = {0};
    struct buf routes = {0};
    bool ready = false, all;
    if (!is_get(req))
        return;
    all = ask(admin, &routes, &ready);
    buf_printf(&body, "{\"ready\":%s,\"draining\":%s,\"workers_answer\":%s,",
               ready && !admin->draining ? "true" : "false", admin->draining ? "true" : "false",
               all ? "true" : "false");
    if (admin->spool) {
        buf_add_text(&body, "\"spool\":");
        spool_status(admin->spool, &body);
        buf_add_char(&body, ',');
    }
    buf_add_text(&body, "\"routes\":[");
    buf_add_slice(&body, buf_slice(&routes));
    buf_add_text(&body, "]}\n");
    reply(req, 200, "application/json", &body);
    buf_deinit(&routes);
    buf_deinit(&body);
}

static bool has_route(const struct admin *admin, const char *name)
{
    return config_find_route(admin->config, name) != NULL;
}

/* A page in a browser must not be able to pause a route: a cross-site POST carries an Origin. */
static bool is_cross_site(struct evhttp_request *req)
{
    return evhttp_find_header(evhttp_request_get_input_headers(req), "Origin") != NULL;
}

static void on_hold(struct admin *admin, struct evhttp_request *req, const char *rest)
{
    char name[256];
    const char *verb = strrchr(rest, '/');
    size_t len = verb ? (size_t)(verb - rest) : 0;
    bool held = verb && strcmp(verb, "/pause") == 0;
    if (!verb || len == 0 || len >= sizeof(name) || (!held && strcmp(verb, "/resume") != 0)) {
        reply_text(req, 404, "no such page");
        return;
    }
    memcpy(name, rest, len);
    name[len] = '\0';
    if (evhttp_request_get_command(req) != EVHTTP_REQ_POST)
        reply_text(req, 405, "use POST");
    else if (is_cross_site(req))
        reply_text(req, 403, "not from a web page");
    else if (!has_route(admin, name))
        reply_text(req, 404, "no such route");
    else {
        worker_hold(admin->workers[0], name, held, "by a person through the admin endpoint");
        reply_text(req, 202, held ? "pausing" : "resuming");
    }
}

static void on_other(struct evhttp_request *req, void *arg)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (path && strncmp(path, "/routes/", 8) == 0)
        on_hold(arg, req, path + 8);
    else
        reply_text(req, 404,
                   "no such page: /metrics /livez /readyz /status /routes/<name>/pause|resume");
}

static bool listen_on(struct admin *admin, struct err *err)
{
    const char *host = admin->config->admin.host;
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(admin->http, host,
                                                                       admin->config->admin.port);
    if (!bound)
        return err_set(err, ERR_UNAVAILABLE,
                       "admin.listen: cannot listen on %s:%u: is another instance running?", host,
                       (unsigned)admin->config->admin.port);
    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len) == 0)
        admin->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                       : ((struct sockaddr_in *)&addr)->sin_port);
    return true;
}

struct admin *admin_new(struct loop *loop, const struct config *config, struct metrics *metrics,
                        struct spool *spool, struct worker **workers, size_t worker_count,
                        struct err *err)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));
    admin->config = config;
    admin->metrics = metrics;
    admin->spool = spool;
    admin->workers = workers;
    admin->worker_count = worker_count;
    admin->http = evhttp_new(loop_base(loop));
    if (!admin->http) {
        (void)err_set(err, ERR_INTERNAL, "no HTTP server");
        admin_free(&admin);
        return NULL;
    }
    evhttp_set_max_headers_size(admin->http, MAX_HEADERS);
    evhttp_set_max_body_size(admin->http, MAX_BODY);
    evhttp_set_timeout(admin->http, REQUEST_TIMEOUT_S);
    evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
    evhttp_set_cb(admin->http, "/metrics", on_metrics, admin);
    evhttp_set_cb(admin->http, "/livez", on_livez, admin);
    evhttp_set_cb(admin->http, "/readyz", on_readyz, admin);
    evhttp_set_cb(admin->http, "/status", on_status, admin);
    evhttp_set_gencb(admin->http, on_other, admin);
    if (!listen_on(admin, err))
        admin_free(&admin);
    return admin;
}

void admin_free(struct admin **admin)
{
    if (!*admin)
        return;
    if ((*admin)->http)
        evhttp_free((*admin)->http);
    mem_free(*admin);
    *admin = NULL;
}

void admin_draining(struct admin *admin)
{
    admin->draining = true;
}

unsigned admin_port(const struct admin *admin)
{
    return admin->port;
}
