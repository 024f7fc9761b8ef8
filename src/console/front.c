/* See front.h. The guard comes before parameters are read: who may not ask learns nothing from how
 * a request is refused. Must not: log a query or a header, where keys and tokens stand. */
#include "console/front.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "console/page.h"
#include "console/reply.h"

#define IDLE_MS      INT64_C(60000)
#define STREAM_BYTES (256 * 1024)

static const char *const headers[] = {"X-Content-Type-Options: nosniff",
                                      "X-Frame-Options: DENY",
                                      "Referrer-Policy: no-referrer",
                                      "Cross-Origin-Resource-Policy: same-origin",
                                      "Cross-Origin-Opener-Policy: same-origin",
                                      NULL};
struct front {
    struct server *server;
    struct guard *guard;
    const struct endpoint *table;
    void *arg;
};

static void refused(struct call *call, const struct guard_no *no)
{
    const struct console_request *req = call_request(call);
    if (no->challenge)
        call_header(call, "WWW-Authenticate", "Basic realm=\"oncegate\", charset=\"UTF-8\"");
    if (no->status != 401 || !slice_is_null(request_header(req, "Authorization")))
        log_warn("console_refused", LOG_STR("peer", req->peer), LOG_INT("status", no->status),
                 LOG_STR("why", no->detail), LOG_END);
    reply_problem(call, no->status, no->detail);
}

static void run(struct front *front, struct call *call, const struct endpoint *endpoint,
                struct route_match *match)
{
    struct err err = {0};
    if (router_read(endpoint, call_request(call), match, &err))
        endpoint->serve(front->arg, call, match);
    else
        reply_problem_err(call, &err);
}

/* The page's files and the addresses of its views are not in the table: they are no API. */
static bool is_of_page(const struct console_request *req)
{
    return (req->method == METHOD_GET || req->method == METHOD_HEAD) && page_has(req->path);
}

static void serve(void *arg, struct call *call)
{
    struct front *front = arg;
    const struct console_request *req = call_request(call);
    const struct endpoint *endpoint = NULL;
    struct route_match match = {0};
    struct guard_need need = {.role = ROLE_VIEWER};
    struct guard_no no = {0};
    struct buf allowed = {0};
    enum router_result found = router_find(front->table, req, &endpoint, &allowed);
    bool page = found == ROUTER_NOT_FOUND && is_of_page(req);
    if (found == ROUTER_FOUND)
        need = (struct guard_need){endpoint->role, endpoint->changes,
                                   endpoint->body ? endpoint->body->type : NULL};
    else if (page)
        need.role = ROLE_NONE;
    if (!guard_check(front->guard, req, &need, &match.who, &no)) {
        refused(call, &no);
    } else if (found == ROUTER_FOUND) {
        run(front, call, endpoint, &match);
    } else if (found == ROUTER_OTHER_METHOD) {
        call_header(call, "Allow", allowed.data);
        reply_problem(call, 405, "not by this method");
    } else if (page) {
        page_serve(call);
    } else {
        reply_problem(call, 404, "there is no such page: /api/openapi.json says what there is");
    }
    router_match_deinit(&match);
    buf_deinit(&allowed);
}

/* Told before the guard looked: of the table, which everybody may read, and nothing else. */
static void refuse(void *arg, const struct console_request *req, int status, const char *detail,
                   struct buf *body)
{
    const struct front *front = arg;
    const struct endpoint *endpoint = NULL;
    struct buf text = {0}, allowed = {0};
    buf_add_text(&text, detail);
    if (status == 413 && router_find(front->table, req, &endpoint, &allowed) == ROUTER_FOUND &&
        endpoint->body && endpoint->body->too_long)
        buf_printf(&text, ": %s", endpoint->body->too_long);
    reply_add_problem(body, status, text.data);
    buf_deinit(&text);
    buf_deinit(&allowed);
}

struct front *front_new(struct loop *loop, const struct console_config *config,
                        const struct endpoint *table, void *arg, struct err *err)
{
    struct front *front = mem_zalloc(sizeof(*front));
    struct server_options options = {.host = config->listen.host,
                                     .port = config->listen.port,
                                     .cert_file = config->tls.cert_file,
                                     .key_file = config->tls.key_file,
                                     .limits = {.connections = config->limits.connections,
                                                .header_bytes = config->limits.header_bytes,
                                                .body_bytes = config->limits.body_bytes,
                                                .request_ms = config->limits.request_ms,
                                                .idle_ms = IDLE_MS,
                                                .answer_ms = config->limits.request_ms,
                                                .stream_bytes = STREAM_BYTES},
                                     .serve = serve,
                                     .refuse = refuse,
                                     .headers = headers,
                                     .arg = front};
    front->table = table;
    front->arg = arg;
    front->guard = guard_new(config, err);
    if (front->guard)
        front->server = server_new(loop, &options, err);
    if (!front->server)
        front_free(&front);
    return front;
}

void front_free(struct front **front)
{
    if (!*front)
        return;
    server_free(&(*front)->server);
    guard_free(&(*front)->guard);
    mem_free(*front);
    *front = NULL;
}

void front_drain(struct front *front)
{
    server_drain(front->server);
}

unsigned front_port(const struct front *front)
{
    return server_port(front->server);
}

size_t front_connections(const struct front *front)
{
    return server_connections(front->server);
}
