/* Steering and figures of the test handler, on either listener:
 *
 *   POST /_control  {"default": RULE|null, "outage": bool, "refuse": bool, "keys": {KEY:
 * RULE|null}, "open": [GATE], "close_idle": true, "reset": true} GET  /_stats    counters as JSON
 *
 * A key is named as the overlap check names it: the id up to its first slash, or topic|key. */
#include <stdlib.h>
#include <string.h>

#include "handler.h"

static void control_answer(struct conn *conn, int status, const char *text, size_t len)
{
    text_addf(&conn->out,
              "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
              status, len);
    text_add(&conn->out, text, len);
    conn_send(conn);
}

static bool set_key(struct server *srv, const char *key, struct json_object *value,
                    const char **why)
{
    struct name *name = names_get(&srv->open, key, strlen(key));

    if (name->rule != NULL) {
        rule_deinit(name->rule);
        free(name->rule);
        name->rule = NULL;
    }
    if (value == NULL)
        return true;
    name->rule = tool_alloc(sizeof(struct rule));
    if (rule_parse(value, name->rule, why))
        return true;
    free(name->rule);
    name->rule = NULL;
    return false;
}

static bool set_default(struct server *srv, struct json_object *value, const char **why)
{
    rule_deinit(&srv->fallback);
    return value == NULL || rule_parse(value, &srv->fallback, why);
}

static bool set_refuse(struct server *srv, bool refuse)
{
    char *address = NULL;
    bool ok;

    if (refuse) {
        conn_unlisten(srv, &srv->main);
        conn_kill_idle(srv);
        return true;
    }
    if (srv->main.fd >= 0)
        return true;
    address = tool_copy(srv->main.address, strlen(srv->main.address));
    ok = conn_listen(srv, &srv->main, address);
    free(address);
    return ok;
}

static void reset_counters(struct server *srv)
{
    srv->requests = srv->effects = srv->overlaps = 0;
    memset(srv->by_status, 0, sizeof(srv->by_status));
    names_clear(&srv->tries);
}

static bool set_keys(struct server *srv, struct json_object *keys, const char **why)
{
    if (!json_object_is_type(keys, json_type_object))
        return false;
    json_object_object_foreach(keys, key, rule)
    {
        if (!set_key(srv, key, rule, why))
            return false;
    }
    return true;
}

static bool open_gates(struct server *srv, struct json_object *gates)
{
    if (!json_object_is_type(gates, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(gates); i++)
        call_open_gate(srv, json_object_get_string(json_object_array_get_idx(gates, i)));
    return true;
}

static bool set_member(struct server *srv, const char *name, struct json_object *value,
                       const char **why)
{
    bool flag = json_object_get_boolean(value);

    *why = name;
    if (strcmp(name, "default") == 0)
        return set_default(srv, value, why);
    if (strcmp(name, "keys") == 0)
        return set_keys(srv, value, why);
    if (strcmp(name, "open") == 0)
        return open_gates(srv, value);
    if (strcmp(name, "refuse") == 0)
        return set_refuse(srv, flag);
    if (strcmp(name, "outage") == 0)
        srv->outage = flag;
    else if (strcmp(name, "close_idle") == 0)
        conn_kill_idle(srv);
    else if (strcmp(name, "reset") == 0)
        reset_counters(srv);
    else
        return false;
    return true;
}

static bool control_apply(struct server *srv, struct json_object *json, const char **why)
{
    if (!json_object_is_type(json, json_type_object)) {
        *why = "not a JSON object";
        return false;
    }
    json_object_object_foreach(json, name, value)
    {
        if (!set_member(srv, name, value, why))
            return false;
    }
    return true;
}

static void control(struct conn *conn, const struct request *req)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *json = json_tokener_parse_ex(tokener, req->body.data, (int)req->body.len);
    const char *why = NULL;
    struct text text = {0};
    bool ok = control_apply(conn->srv, json, &why);

    text_adds(&text, ok ? "{\"ok\":true" : "{\"ok\":false,\"why\":");
    if (!ok)
        text_json(&text, why, strlen(why));
    text_adds(&text, "}\n");
    control_answer(conn, ok ? 200 : 422, text.data, text.len);
    text_free(&text);
    json_object_put(json);
    json_tokener_free(tokener);
}

static void stats(struct conn *conn)
{
    const struct server *srv = conn->srv;
    struct text text = {0};
    const char *comma = "";

    text_addf(&text,
              "{\"requests\":%llu,\"effects\":%llu,\"overlaps\":%llu,\"open\":%llu,"
              "\"connections\":%llu,\"connections_now\":%llu,\"status\":{",
              (unsigned long long)srv->requests, (unsigned long long)srv->effects,
              (unsigned long long)srv->overlaps, (unsigned long long)srv->open_now,
              (unsigned long long)srv->connections, (unsigned long long)srv->connections_now);
    for (int i = 0; i < 600; i++) {
        if (srv->by_status[i] == 0)
            continue;
        text_addf(&text, "%s\"%d\":%llu", comma, i, (unsigned long long)srv->by_status[i]);
        comma = ",";
    }
    text_adds(&text, "}}\n");
    control_answer(conn, 200, text.data, text.len);
    text_free(&text);
}

static bool path_is(const struct request *req, const char *path)
{
    return req->path.len == strlen(path) && memcmp(req->path.data, path, req->path.len) == 0;
}

void control_on_request(struct conn *conn, const struct request *req)
{
    if (path_is(req, "/_stats"))
        stats(conn);
    else if (path_is(req, "/_control"))
        control(conn, req);
    else
        control_answer(conn, 404, "{}", 2);
}
