/*
 * The probe; see demo_probe.h. /status tells how far each partition is settled, which no counter
 * does. A question that fails leaves `answers` false and nothing else changed.
 */
#include "demo_probe.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <json-c/json.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define TIMEOUT_S  2
#define ANSWER_MAX (4 << 20)

struct demo_probe {
    struct loop *loop;
    uint16_t port;
    const char *topic;
    struct demo_book *book;
    struct evhttp_connection *conn; /* of the last question; freed by the next one */
    bool open;                      /* its answer is awaited */
    struct demo_gateway_state state;
};

static const char *text(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? json_object_get_string(value) : "";
}

static int64_t number(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : -1;
}

static void take_partitions(struct demo_probe *probe, struct json_object *route)
{
    struct json_object *list = NULL;
    if (!json_object_object_get_ex(route, "partitions", &list))
        return;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *part = json_object_array_get_idx(list, i);
        if (strcmp(text(part, "topic"), probe->topic) == 0)
            demo_book_settled(probe->book, (int32_t)number(part, "partition"),
                              number(part, "watermark"));
    }
}

static void take_status(struct demo_probe *probe, struct json_object *status)
{
    struct json_object *routes = NULL, *route, *ready = NULL;
    probe->state.ready = json_object_object_get_ex(status, "ready", &ready) &&
                         json_object_get_boolean(ready);
    if (!json_object_object_get_ex(status, "routes", &routes) ||
        json_object_array_length(routes) == 0)
        return;
    route = json_object_array_get_idx(routes, 0);
    probe->state.answers = true;
    probe->state.breaker_open = strcmp(text(route, "breaker"), "closed") != 0;
    str_copy(probe->state.state, sizeof(probe->state.state), slice_of(text(route, "state")));
    take_partitions(probe, route);
}

static void on_answer(struct evhttp_request *req, void *arg)
{
    struct demo_probe *probe = arg;
    probe->open = false;
    probe->state.answers = false;
    if (req && evhttp_request_get_response_code(req) == 200) {
        struct evbuffer *body = evhttp_request_get_input_buffer(req);
        struct json_tokener *tokener = json_tokener_new();
        size_t len = evbuffer_get_length(body);
        struct json_object *status = json_tokener_parse_ex(
            tokener, (const char *)evbuffer_pullup(body, -1), (int)len);
        if (status)
            take_status(probe, status);
        json_object_put(status);
        json_tokener_free(tokener);
    }
}

void demo_probe_ask(struct demo_probe *probe)
{
    struct evhttp_request *req;
    if (probe->open)
        return;
    if (probe->conn)
        evhttp_connection_free(probe->conn);
    probe->conn = evhttp_connection_base_new(loop_base(probe->loop), NULL, "127.0.0.1",
                                             probe->port);
    req = probe->conn ? evhttp_request_new(on_answer, probe) : NULL;
    if (!req)
        return;
    evhttp_connection_set_timeout(probe->conn, TIMEOUT_S);
    evhttp_connection_set_max_body_size(probe->conn, ANSWER_MAX);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Host", "oncegate");
    evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
    probe->open = true;
    if (evhttp_make_request(probe->conn, req, EVHTTP_REQ_GET, "/status") != 0)
        probe->open = false;
}

struct demo_probe *demo_probe_new(struct loop *loop, uint16_t port, const char *topic,
                                  struct demo_book *book)
{
    struct demo_probe *probe = mem_zalloc(sizeof(*probe));
    probe->loop = loop;
    probe->port = port;
    probe->topic = topic;
    probe->book = book;
    return probe;
}

void demo_probe_free(struct demo_probe **probe)
{
    if (!*probe)
        return;
    if ((*probe)->conn)
        evhttp_connection_free((*probe)->conn);
    mem_free(*probe);
    *probe = NULL;
}

void demo_probe_forget(struct demo_probe *probe)
{
    memset(&probe->state, 0, sizeof(probe->state));
}

const struct demo_gateway_state *demo_probe_state(const struct demo_probe *probe)
{
    return &probe->state;
}
