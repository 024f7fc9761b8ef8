/* Records as told on standard input, one JSON object a line, as odd as the test wants them:
 *
 *   topic, p (partition), key | key_b64, value | value_b64 (absent: null),
 *   headers [[name, text | null]...], headers_b64 [[name, base64]...], tag (copied to the account)
 *
 * Lines are sent as they come, so that a test can keep one producer open and feed it. */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "produce.h"

static bool is_text(struct json_object *json)
{
    return json_object_is_type(json, json_type_string);
}

static char *text_of(struct json_object *json, size_t *len)
{
    *len = (size_t)json_object_get_string_len(json);
    return tool_copy(json_object_get_string(json), *len);
}

static char *b64_of(struct json_object *json, const char *what, size_t *len)
{
    char *data = NULL;

    if (!tool_b64_decode(json_object_get_string(json), (size_t)json_object_get_string_len(json),
                         &data, len))
        tool_die("%s is no base64", what);
    return data;
}

/* Bytes of a member given as text or base64; NULL where neither is there. Freed by the caller. */
static char *bytes_of(struct json_object *json, const char *name, size_t *len)
{
    char name_b64[64];
    struct json_object *value = NULL;

    *len = 0;
    if (json_object_object_get_ex(json, name, &value) && is_text(value))
        return text_of(value, len);
    snprintf(name_b64, sizeof(name_b64), "%s_b64", name);
    if (json_object_object_get_ex(json, name_b64, &value) && is_text(value))
        return b64_of(value, name_b64, len);
    return NULL;
}

static void add_headers(rd_kafka_headers_t *headers, struct json_object *pairs, bool b64)
{
    for (size_t i = 0; pairs != NULL && i < json_object_array_length(pairs); i++) {
        struct json_object *pair = json_object_array_get_idx(pairs, i);
        struct json_object *value = json_object_array_get_idx(pair, 1);
        const char *name = json_object_get_string(json_object_array_get_idx(pair, 0));
        char *data = NULL;
        size_t len = 0;

        if (is_text(value))
            data = b64 ? b64_of(value, name, &len) : text_of(value, &len);
        rd_kafka_header_add(headers, name, -1, data, (ssize_t)len);
        free(data);
    }
}

static rd_kafka_headers_t *headers_of(struct json_object *json)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    struct json_object *pairs = NULL;

    if (json_object_object_get_ex(json, "headers", &pairs))
        add_headers(headers, pairs, false);
    if (json_object_object_get_ex(json, "headers_b64", &pairs))
        add_headers(headers, pairs, true);
    return headers;
}

static void send_line(struct produce *prod, const char *line, size_t len)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *json = json_tokener_parse_ex(tokener, line, (int)len);
    struct json_object *value = NULL;
    struct outgoing rec = {.partition = -1};
    struct text account = {0};

    if (!json_object_object_get_ex(json, "topic", &value))
        tool_die("a plan line is a JSON object with a topic");
    rec.topic = json_object_get_string(value);
    if (json_object_object_get_ex(json, "p", &value))
        rec.partition = json_object_get_int(value);
    rec.key = bytes_of(json, "key", &rec.key_len);
    rec.value = bytes_of(json, "value", &rec.value_len);
    rec.headers = headers_of(json);
    if (json_object_object_get_ex(json, "tag", &value)) {
        text_adds(&account, ",\"tag\":");
        text_json(&account, json_object_get_string(value),
                  (size_t)json_object_get_string_len(value));
        rec.account = account.data;
    }
    produce_send(prod, &rec);
    free((char *)(uintptr_t)rec.key);
    free((char *)(uintptr_t)rec.value);
    text_free(&account);
    json_object_put(json);
    json_tokener_free(tokener);
}

static void send_lines(struct produce *prod, struct text *in)
{
    char *line = in->data;
    char *end;

    while ((end = memchr(line, '\n', in->len - (size_t)(line - in->data))) != NULL) {
        if (end > line)
            send_line(prod, line, (size_t)(end - line));
        line = end + 1;
    }
    in->len -= (size_t)(line - in->data);
    memmove(in->data, line, in->len);
}

void plan_run(struct produce *prod)
{
    struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
    struct text in = {0};
    bool more = true;

    while (more && !produce_stopped()) {
        bool idle = rd_kafka_outq_len(prod->rk) == 0;

        if (poll(&wait, 1, idle ? 200 : 2) > 0) {
            ssize_t n;

            text_reserve(&in, 65536);
            n = read(STDIN_FILENO, in.data + in.len, 65536);
            if (n < 0 && errno != EINTR)
                tool_die("cannot read the plan: %s", strerror(errno));
            more = n != 0;
            in.len += n > 0 ? (size_t)n : 0;
            send_lines(prod, &in);
        }
        produce_serve(prod, 0);
    }
    text_free(&in);
}
