/* Batches of the test handler: the events of a request as requests of their own, and the results.
 *
 * What is no CloudEvents batch ends the program: the gateway must never send it. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handler.h"

enum { DEPTH_MAX = 64 };

bool batch_is(const struct request *req)
{
    static const char type[] = "application/cloudevents-batch+json";
    struct span given = http_header(req, "Content-Type");

    return given.len == sizeof(type) - 1 && strncasecmp(given.data, type, given.len) == 0;
}

static struct span text_of(struct json_object *event, const char *name)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(event, name, &value))
        return (struct span){NULL, 0};
    return (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

/* A number is written out by json-c; a text is as it is. */
static void add_header(struct batch_event *into, const char *header, struct json_object *event,
                       const char *name)
{
    struct json_object *value = NULL;
    struct request *req = &into->req;

    if (!json_object_object_get_ex(event, name, &value))
        return;
    const char *text = json_object_get_string(value);
    req->headers[req->header_count++] = (struct header){{header, strlen(header)},
                                                        {text, strlen(text)}};
}

static void read_data(struct batch_event *into, struct json_object *event)
{
    struct span base64 = text_of(event, "data_base64");
    struct json_object *data = NULL;
    bool has_data = json_object_object_get_ex(event, "data", &data);

    if (has_data && base64.data != NULL)
        tool_die("an event has data and data_base64");
    if (base64.data != NULL && !tool_b64_decode(base64.data, base64.len, &into->data, &into->len))
        tool_die("data_base64 is no base64");
    if (!has_data)
        return;
    const char *text = json_object_is_type(data, json_type_string)
                           ? json_object_get_string(data)
                           : json_object_to_json_string_ext(
                                 data, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    into->len = strlen(text);
    into->data = tool_copy(text, into->len);
}

static void read_event(struct batch_event *into, struct json_object *event)
{
    static const char *const needed[] = {"specversion", "id", "source", "type", "kafkatopic"};
    static const char *const headers[][2] = {
        {"Kafka-Topic", "kafkatopic"},           {"Kafka-Partition", "kafkapartition"},
        {"Kafka-Offset", "kafkaoffset"},         {"Kafka-Key", "kafkakey"},
        {"Oncegate-Attempt", "oncegateattempt"}, {"Oncegate-Sequence", "oncegatesequence"},
        {"Oncegate-Epoch", "oncegateepoch"},
    };

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (text_of(event, needed[i]).len == 0)
            tool_die("an event of a batch has no %s: %s", needed[i],
                     json_object_to_json_string(event));
    }
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        add_header(into, headers[i][0], event, headers[i][1]);
    add_header(into, "Idempotency-Key", event,
               json_object_object_get_ex(event, "idempotencykey", NULL) ? "idempotencykey" : "id");
    into->id = text_of(event, "id");
    read_data(into, event);
    into->req.body = (struct span){into->data != NULL ? into->data : "", into->len};
}

static void copy_header(struct batch_event *into, const struct request *req, const char *name)
{
    struct span value = http_header(req, name);

    if (value.data != NULL)
        into->req.headers[into->req.header_count++] = (struct header){{name, strlen(name)}, value};
}

struct batch *batch_read(const struct request *req)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    struct batch *batch = tool_alloc(sizeof(*batch));

    /* Not strict: json-c 0.18 then refuses all that is not ASCII. */
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    batch->json = json_tokener_parse_ex(tokener, req->body.data, (int)req->body.len);
    if (!json_object_is_type(batch->json, json_type_array) ||
        json_tokener_get_parse_end(tokener) != req->body.len)
        tool_die("a batch is no JSON array: %.*s", (int)req->body.len, req->body.data);
    json_tokener_free(tokener);
    batch->count = json_object_array_length(batch->json);
    if (batch->count == 0)
        tool_die("a batch is empty");
    batch->events = tool_alloc(batch->count * sizeof(*batch->events));
    for (size_t i = 0; i < batch->count; i++) {
        read_event(&batch->events[i], json_object_array_get_idx(batch->json, i));
        copy_header(&batch->events[i], req, "Oncegate-Deadline");
        copy_header(&batch->events[i], req, "X-Gateway");
    }
    return batch;
}

void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->events[i].data);
    json_object_put(batch->json);
    free(batch->events);
    free(batch);
}

/* ---- results ---- */

static const char *outcome_of(const struct rule *rule)
{
    if (rule->outcome != NULL)
        return rule->outcome;
    if (rule->status >= 200 && rule->status < 300)
        return "success";
    bool again = rule->status >= 500 || rule->status == 429 || rule->status == 409;
    return again ? "retry" : "dead-letter";
}

void batch_add_result(struct text *out, struct span id, const struct rule *rule)
{
    static const char begin[] = "{\"results\":[";

    if (out->len == 0)
        text_adds(out, begin);
    else
        text_adds(out, ",");
    struct json_object *text = json_object_new_string_len(id.data, (int)id.len);
    text_addf(out, "{\"id\":%s", json_object_to_json_string(text));
    json_object_put(text);
    text_addf(out, ",\"outcome\":\"%s\"", outcome_of(rule));
    if (rule->code != NULL)
        text_addf(out, ",\"error_code\":\"%s\"", rule->code);
    if (rule->retry_after != NULL)
        text_addf(out, ",\"retry_after\":\"%s\"", rule->retry_after);
    if (rule->problem_detail != NULL) {
        text_adds(out, ",\"detail\":");
        text_json(out, rule->problem_detail, strlen(rule->problem_detail));
    }
    text_adds(out, "}");
}

void batch_end_results(struct text *out)
{
    text_adds(out, out->len == 0 ? "{\"results\":[]}" : "]}");
}
