/* A delivery from request to answer: written down, ruled upon, perhaps delayed, answered.
 *
 *   begin -> [gate] -> [delay] -> answer or misbehaviour -> end
 *
 * Invariants: every begin line is followed by exactly one end line; the work goes on when the
 * client leaves, as it does in a real handler (but for `never` and `drip`, which end with it);
 * two calls of one key open at the same time are counted as an overlap when the second begins. */
#include <stdlib.h>
#include <string.h>

#include "handler.h"

static bool makes_effect(const struct rule *rule);

static void heap_put(struct server *srv, struct call *call, size_t at)
{
    srv->heap[at] = call;
    call->heap_at = at;
}

static void heap_add(struct server *srv, struct call *call)
{
    size_t at = srv->heap_len++;

    if (srv->heap_len > srv->heap_cap) {
        srv->heap_cap = srv->heap_cap > 0 ? 2 * srv->heap_cap : 64;
        srv->heap = tool_resize(srv->heap, srv->heap_cap * sizeof(struct call *));
    }
    while (at > 0 && srv->heap[(at - 1) / 2]->due_us > call->due_us) {
        heap_put(srv, srv->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    heap_put(srv, call, at);
}

static struct call *heap_pop(struct server *srv)
{
    struct call *top = srv->heap[0];
    struct call *last = srv->heap[--srv->heap_len];
    size_t at = 0;

    while (srv->heap_len > 0 && 2 * at + 1 < srv->heap_len) {
        size_t child = 2 * at + 1;

        if (child + 1 < srv->heap_len && srv->heap[child + 1]->due_us < srv->heap[child]->due_us)
            child++;
        if (srv->heap[child]->due_us >= last->due_us)
            break;
        heap_put(srv, srv->heap[child], at);
        at = child;
    }
    if (srv->heap_len > 0)
        heap_put(srv, last, at);
    return top;
}

int call_wait_ms(const struct server *srv)
{
    int64_t left;

    if (srv->heap_len == 0)
        return -1;
    left = srv->heap[0]->due_us - tool_mono_us();
    return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

static void log_header(struct text *log, const char *member, struct span value)
{
    if (value.data == NULL)
        return;
    text_addf(log, ",\"%s\":", member);
    text_json(log, value.data, value.len);
}

static void log_request(struct text *log, const struct request *req)
{
    text_adds(log, ",\"path\":");
    text_json(log, req->path.data, req->path.len);
    text_adds(log, ",\"h\":[");
    for (int i = 0; i < req->header_count; i++) {
        text_adds(log, i > 0 ? ",[" : "[");
        text_json(log, req->headers[i].name.data, req->headers[i].name.len);
        text_adds(log, ",");
        text_json(log, req->headers[i].value.data, req->headers[i].value.len);
        text_adds(log, "]");
    }
    text_addf(log, "],\"len\":%zu", req->body.len);
    if (req->body.len <= 65536) {
        text_adds(log, ",\"body\":");
        text_b64(log, req->body.data, req->body.len);
    }
}

static void log_begin(struct server *srv, const struct call *call, const struct request *req,
                      struct span id, uint64_t batch)
{
    struct text *log = &srv->log;

    if (srv->log_fd < 0)
        return;
    text_addf(log,
              "{\"e\":\"b\",\"n\":%llu,\"t\":%lld,\"w\":%lld,\"id\":", (unsigned long long)call->n,
              (long long)tool_mono_us(), (long long)tool_wall_ms());
    text_json(log, id.data, id.len);
    log_header(log, "k", http_header(req, "Kafka-Key"));
    log_header(log, "topic", http_header(req, "Kafka-Topic"));
    log_header(log, "p", http_header(req, "Kafka-Partition"));
    log_header(log, "o", http_header(req, "Kafka-Offset"));
    log_header(log, "seq", http_header(req, "Oncegate-Sequence"));
    log_header(log, "ep", http_header(req, "Oncegate-Epoch"));
    log_header(log, "att", http_header(req, "Oncegate-Attempt"));
    log_header(log, "ik", http_header(req, "Idempotency-Key"));
    log_header(log, "dl", http_header(req, "Oncegate-Deadline"));
    log_header(log, "gw", http_header(req, "X-Gateway"));
    if (batch > 0)
        text_addf(log, ",\"in\":%llu", (unsigned long long)batch);
    if (call->key->count > 1)
        text_addf(log, ",\"ov\":%u", call->key->count - 1);
    if (srv->capture)
        log_request(log, req);
    text_adds(log, "}\n");
}

static void call_end(struct server *srv, struct call *call, int status, const char *how,
                     bool effect)
{
    if (srv->log_fd >= 0)
        text_addf(&srv->log,
                  "{\"e\":\"e\",\"n\":%llu,\"t\":%lld,\"w\":%lld,\"st\":%d,\"how\":\"%s\","
                  "\"out\":\"%s\",\"eff\":%d}\n",
                  (unsigned long long)call->n, (long long)tool_mono_us(), (long long)tool_wall_ms(),
                  status, how, call->rule.outcome != NULL ? call->rule.outcome : "", effect);
    if (status > 0 && status < 600)
        srv->by_status[status]++;
    srv->effects += effect;
    srv->open_now--;
    call->key->count--;
    if (call->conn != NULL)
        call->conn->call = NULL;
    rule_deinit(&call->rule);
    free(call);
}

/* The request with many records; each of them has an end line of its own. */
static void call_end_parts(struct server *srv, struct call *call, const char *how, bool answered)
{
    for (size_t i = 0; i < call->batch->count; i++) {
        struct call *part = call->parts[i];
        bool effect = part->rule.effect || (answered && makes_effect(&part->rule));

        call_end(srv, part, part->rule.status, how, effect);
    }
    if (call->conn != NULL)
        call->conn->call = NULL;
    batch_free(call->batch);
    rule_deinit(&call->rule);
    free(call->parts);
    free(call);
}

/* The record's own name: the text after {"id":" of the value, else where it came from. */
static struct span record_id(struct server *srv, const struct request *req, struct text *made)
{
    static const char prefix[] = "{\"id\":\"";
    struct span topic = http_header(req, "Kafka-Topic");
    struct span partition = http_header(req, "Kafka-Partition");
    struct span offset = http_header(req, "Kafka-Offset");
    size_t len = sizeof(prefix) - 1;
    const char *end = NULL;

    (void)srv;
    if (req->body.len > len && memcmp(req->body.data, prefix, len) == 0)
        end = memchr(req->body.data + len, '"', req->body.len - len);
    if (end != NULL)
        return (struct span){req->body.data + len, (size_t)(end - req->body.data) - len};
    text_add(made, topic.data, topic.len);
    text_adds(made, "|");
    text_add(made, partition.data, partition.len);
    text_adds(made, "|");
    text_add(made, offset.data, offset.len);
    return (struct span){made->data, made->len};
}

/* What no two open requests may share: the id up to its first slash, else topic and key, or
 * topic and partition where there is no key. */
static struct name *order_key(struct server *srv, const struct request *req, struct span id)
{
    const char *slash = memchr(id.data, '/', id.len);
    struct span topic = http_header(req, "Kafka-Topic");
    struct span key = http_header(req, "Kafka-Key");
    struct text text = {0};
    struct name *name;

    if (slash != NULL)
        return names_get(&srv->open, id.data, (size_t)(slash - id.data));
    if (key.data == NULL)
        key = http_header(req, "Kafka-Partition");
    text_add(&text, topic.data, topic.len);
    text_adds(&text, "|");
    text_add(&text, key.data, key.len);
    name = names_get(&srv->open, text.data, text.len);
    text_free(&text);
    return name;
}

static bool record_rule(const struct request *req, struct rule *rule)
{
    static const char member[] = "\"rule\":";
    size_t head = req->body.len < 1024 ? req->body.len : 1024;
    const char *at = memmem(req->body.data, head, member, sizeof(member) - 1);
    const char *why = "no JSON";
    struct json_tokener *tokener;
    struct json_object *json;
    bool ok;

    if (at == NULL || req->body.data[0] != '{')
        return false;
    at += sizeof(member) - 1;
    tokener = json_tokener_new();
    json = json_tokener_parse_ex(tokener, at, (int)(req->body.data + req->body.len - at));
    ok = json != NULL && rule_parse(json, rule, &why);
    if (!ok)
        tool_die("bad rule in a record: %s", why);
    json_object_put(json);
    json_tokener_free(tokener);
    return ok;
}

static void copy_text(char **to, const char *from)
{
    *to = from != NULL ? tool_copy(from, strlen(from)) : NULL;
}

static void rule_copy(struct rule *to, const struct rule *from)
{
    *to = *from;
    copy_text(&to->outcome, from->outcome);
    copy_text(&to->code, from->code);
    copy_text(&to->retry_after, from->retry_after);
    copy_text(&to->problem_type, from->problem_type);
    copy_text(&to->problem_detail, from->problem_detail);
    copy_text(&to->gate, from->gate);
    copy_text(&to->results, from->results);
}

/* A rule that fails for a while: past that while it succeeds, but keeps its delay and gate. */
static void settle_rule(struct server *srv, struct rule *rule, struct span id)
{
    struct rule plain = {.status = 200, .delay_ms = rule->delay_ms};
    struct name *tries;
    bool failing;

    if (rule->fail_first == 0 && rule->fail_for_ms == 0)
        return;
    tries = names_get(&srv->tries, id.data, id.len);
    if (tries->first_us == 0)
        tries->first_us = tool_mono_us();
    tries->count++;
    failing = tries->count <= (uint32_t)rule->fail_first ||
              tool_mono_us() - tries->first_us < rule->fail_for_ms * 1000;
    if (failing)
        return;
    copy_text(&plain.gate, rule->gate);
    rule_deinit(rule);
    *rule = plain;
}

static void decide(struct server *srv, struct call *call, const struct request *req, struct span id,
                   const struct conn *conn)
{
    if (srv->outage) {
        call->rule = (struct rule){.status = 503, .whole = true};
        return;
    }
    if (call->key->rule != NULL)
        rule_copy(&call->rule, call->key->rule);
    else if (!record_rule(req, &call->rule))
        rule_copy(&call->rule, &srv->fallback);
    settle_rule(srv, &call->rule, id);
    if (call->rule.how == HOW_STALE)
        call->rule.how = conn->served > 1 ? HOW_RESET : HOW_ANSWER;
}

static void answer_head(struct text *out, const struct rule *rule)
{
    text_addf(out, "HTTP/1.1 %d Status\r\n", rule->status);
    if (rule->outcome != NULL)
        text_addf(out, "Oncegate-Outcome: %s\r\n", rule->outcome);
    if (rule->code != NULL)
        text_addf(out, "Oncegate-Error-Code: %s\r\n", rule->code);
    if (rule->retry_after != NULL)
        text_addf(out, "Retry-After: %s\r\n", rule->retry_after);
    if (rule->problem_type != NULL)
        text_adds(out, "Content-Type: application/problem+json\r\n");
}

static void answer_body(struct text *body, const struct rule *rule)
{
    if (rule->results != NULL)
        text_adds(body, rule->results);
    if (rule->problem_type == NULL || rule->results != NULL)
        return;
    text_adds(body, "{\"type\":");
    text_json(body, rule->problem_type, strlen(rule->problem_type));
    if (rule->problem_detail != NULL) {
        text_adds(body, ",\"detail\":");
        text_json(body, rule->problem_detail, strlen(rule->problem_detail));
    }
    text_adds(body, "}");
}

static void answer_write(struct conn *conn, const struct rule *rule)
{
    struct text body = {0};
    struct text *out = &conn->out;

    if (rule->status == 200 && rule->how == HOW_ANSWER && rule->outcome == NULL &&
        rule->code == NULL && rule->problem_type == NULL && rule->results == NULL) {
        text_adds(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    answer_head(out, rule);
    answer_body(&body, rule);
    if (rule->how == HOW_CHUNKED)
        text_addf(out, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n");
    else if (rule->how == HOW_HUGE)
        text_addf(out, "Content-Length: %d\r\n\r\n", 1 << 30);
    else if (rule->how == HOW_SHORT || rule->how == HOW_RESET_MID)
        text_addf(out, "Content-Length: 1000\r\n\r\nonly this");
    else if (rule->how == HOW_DRIP)
        text_addf(out, "Content-Length: 100000\r\n\r\n");
    else if (rule->status == 204 || rule->status == 304)
        text_adds(out, "\r\n");
    else
        text_addf(out, "Content-Length: %zu\r\n\r\n%s", body.len, body.len > 0 ? body.data : "");
    if (rule->how == HOW_HUGE)
        conn->flood = 1 << 30;
    text_free(&body);
}

static bool makes_effect(const struct rule *rule)
{
    bool whole = rule->how == HOW_ANSWER || rule->how == HOW_CHUNKED || rule->how == HOW_HUGE;

    if (rule->effect || rule->omit)
        return rule->effect;
    if (rule->outcome != NULL)
        return whole && strcmp(rule->outcome, "success") == 0;
    return whole && rule->status >= 200 && rule->status < 300;
}

static void misbehave(struct conn *conn, const struct rule *rule)
{
    switch (rule->how) {
    case HOW_GARBAGE:
        text_adds(&conn->out, "\x01\x02 this is not HTTP \xff\xfe\r\n\r\n\r\n");
        conn->close_after = true;
        break;
    case HOW_HALF:
        text_adds(&conn->out, "HTTP/1.1 200 OK\r\nContent-Le");
        conn->close_after = true;
        break;
    case HOW_CLOSE:
        conn->close_after = true;
        break;
    case HOW_RESET:
        conn->reset_after = true;
        break;
    case HOW_SHORT:
        conn->close_after = true;
        answer_write(conn, rule);
        break;
    case HOW_RESET_MID:
        conn->reset_after = true;
        answer_write(conn, rule);
        break;
    default:
        answer_write(conn, rule);
        break;
    }
}

/* One more byte every 50 ms: a client without a total deadline would read for an hour. */
static void drip(struct server *srv, struct call *call)
{
    if (!call->dripping)
        answer_write(call->conn, &call->rule);
    else
        text_adds(&call->conn->out, ".");
    call->dripping = true;
    call->due_us = tool_mono_us() + 50000;
    heap_add(srv, call);
    conn_send(call->conn);
}

/* What the records ask for as one answer. */
static void write_results(struct call *call)
{
    struct text out = {0};

    if (call->rule.results != NULL || call->rule.status >= 300)
        return;
    for (size_t i = 0; i < call->batch->count; i++) {
        const struct rule *rule = &call->parts[i]->rule;
        bool silent = call->rule.outcome != NULL && rule->outcome == NULL && rule->status == 200;

        if (!rule->omit && !silent)
            batch_add_result(&out, call->batch->events[i].id, rule);
        if (rule->stranger)
            batch_add_result(&out, (struct span){"nobody/of/this", 14}, rule);
    }
    batch_end_results(&out);
    call->rule.results = out.data;
}

static void call_finish_batch(struct server *srv, struct call *call)
{
    struct conn *conn = call->conn;
    enum how how = call->rule.how;
    bool answered;

    if (conn == NULL) {
        call_end_parts(srv, call, "closed", call->rule.status < 300);
        return;
    }
    if (how == HOW_NEVER) {
        call->hanging = true;
        return;
    }
    answered = how == HOW_ANSWER && call->rule.status < 300 && call->rule.results == NULL;
    write_results(call);
    misbehave(conn, &call->rule);
    call_end_parts(srv, call, rule_how_name(how), answered);
    conn_send(conn);
}

/* The work is done: answer, unless the client has gone. */
static void call_finish(struct server *srv, struct call *call)
{
    struct conn *conn = call->conn;
    enum how how = call->rule.how;
    bool effect = makes_effect(&call->rule);

    if (call->batch != NULL) {
        call_finish_batch(srv, call);
        return;
    }
    if (conn == NULL) {
        call_end(srv, call, call->rule.status, "closed", effect);
        return;
    }
    if (how == HOW_NEVER) {
        call->hanging = true;
        return;
    }
    if (how == HOW_DRIP) {
        drip(srv, call);
        return;
    }
    misbehave(conn, &call->rule);
    call_end(srv, call, call->rule.status, rule_how_name(how), effect);
    conn_send(conn);
}

static void call_wait(struct server *srv, struct call *call)
{
    if (call->rule.delay_ms == 0) {
        call_finish(srv, call);
        return;
    }
    call->due_us = tool_mono_us() + (int64_t)call->rule.delay_ms * 1000;
    heap_add(srv, call);
}

static bool gate_is_shut(struct server *srv, const char *gate)
{
    struct name *name = names_find(&srv->gates, gate, strlen(gate));

    return name == NULL || name->count == 0;
}

/* A record begins: written down, and what becomes of it is decided. */
static struct call *begin_one(struct conn *conn, const struct request *req, uint64_t batch)
{
    struct server *srv = conn->srv;
    struct call *call = tool_alloc(sizeof(*call));
    struct text made = {0};
    struct span id = record_id(srv, req, &made);

    call->n = ++srv->requests;
    call->key = order_key(srv, req, id);
    srv->overlaps += call->key->count > 0;
    call->key->count++;
    srv->open_now++;
    log_begin(srv, call, req, id, batch);
    decide(srv, call, req, id, conn);
    text_free(&made);
    return call;
}

/* One record's part in what the request as a whole comes to. */
static void join_rule(struct server *srv, struct rule *whole, const struct rule *rule)
{
    if (rule->delay_ms > whole->delay_ms)
        whole->delay_ms = rule->delay_ms;
    if (whole->how == HOW_ANSWER)
        whole->how = rule->how;
    if (whole->gate == NULL && rule->gate != NULL && gate_is_shut(srv, rule->gate))
        copy_text(&whole->gate, rule->gate);
    if (whole->results == NULL)
        copy_text(&whole->results, rule->results);
    if (rule->terse && whole->outcome == NULL)
        copy_text(&whole->outcome, "success");
    if (!rule->whole || whole->whole)
        return;
    whole->whole = true;
    whole->status = rule->status;
    copy_text(&whole->outcome, rule->outcome);
    copy_text(&whole->code, rule->code);
    copy_text(&whole->retry_after, rule->retry_after);
    copy_text(&whole->problem_type, rule->problem_type);
    copy_text(&whole->problem_detail, rule->problem_detail);
}

static struct call *begin_batch(struct conn *conn, const struct request *req)
{
    struct server *srv = conn->srv;
    struct call *call = tool_alloc(sizeof(*call));

    call->batch = batch_read(req);
    call->parts = tool_alloc(call->batch->count * sizeof(struct call *));
    call->rule = (struct rule){.status = 200};
    srv->batches++;
    if (srv->capture && srv->log_fd >= 0) {
        text_addf(&srv->log, "{\"e\":\"r\",\"n\":0,\"in\":%llu,\"count\":%zu",
                  (unsigned long long)srv->batches, call->batch->count);
        log_request(&srv->log, req);
        text_adds(&srv->log, "}\n");
    }
    for (size_t i = 0; i < call->batch->count; i++) {
        call->parts[i] = begin_one(conn, &call->batch->events[i].req, srv->batches);
        join_rule(srv, &call->rule, &call->parts[i]->rule);
    }
    return call;
}

void call_begin(struct conn *conn, const struct request *req)
{
    struct server *srv = conn->srv;
    struct call *call;

    conn->served++;
    if (req->close)
        conn->close_after = true;
    call = batch_is(req) ? begin_batch(conn, req) : begin_one(conn, req, 0);
    call->conn = conn;
    conn->call = call;
    if (call->rule.gate != NULL && gate_is_shut(srv, call->rule.gate)) {
        call->next_gate = srv->waiting;
        srv->waiting = call;
        return;
    }
    call_wait(srv, call);
}

void call_on_due(struct server *srv)
{
    while (srv->heap_len > 0 && srv->heap[0]->due_us <= tool_mono_us()) {
        struct call *call = heap_pop(srv);
        struct conn *conn = call->conn;

        call_finish(srv, call);
        if (conn != NULL && !conn->dead)
            http_on_input(conn);
    }
}

void call_open_gate(struct server *srv, const char *gate)
{
    struct call *list = srv->waiting;
    struct call *next = NULL;

    names_get(&srv->gates, gate, strlen(gate))->count = 1;
    srv->waiting = NULL;
    for (struct call *call = list; call != NULL; call = next) {
        struct conn *conn = call->conn;

        next = call->next_gate;
        if (strcmp(call->rule.gate, gate) != 0) {
            call->next_gate = srv->waiting;
            srv->waiting = call;
            continue;
        }
        call_wait(srv, call);
        if (conn != NULL && !conn->dead)
            http_on_input(conn);
    }
}

void call_on_close(struct call *call)
{
    struct server *srv = call->conn->srv;

    call->conn = NULL;
    if (!call->hanging)
        return;
    if (call->batch != NULL)
        call_end_parts(srv, call, "never", false);
    else
        call_end(srv, call, 0, "never", false);
}
