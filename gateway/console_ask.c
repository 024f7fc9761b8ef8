/* The console's API for commands; see console_ask.h. What a console answers is read by name and
 * kind: what is missing is empty, what is more is passed over. */
#include "console_ask.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/str.h"

#define TIMEOUT_MS 70000 /* a dry run may take a minute there */

static const char *option_or(struct cli *cli, const char *option, const char *variable)
{
    const char *given = cli_option(cli, option);
    if (!given)
        given = getenv(variable);
    return given && given[0] ? given : NULL;
}

bool console_ask_open(struct cli *cli, struct console_client **client, struct err *err)
{
    struct console_client_options options = {
        .url = option_or(cli, "--console", "ONCEGATE_CONSOLE"),
        .token_file = option_or(cli, "--token-file", "ONCEGATE_CONSOLE_TOKEN_FILE"),
        .ca_file = option_or(cli, "--ca-file", "ONCEGATE_CONSOLE_CA_FILE"),
        .timeout_ms = TIMEOUT_MS};
    *client = NULL;
    if (!options.url)
        return true;
    *client = console_client_new(&options, err);
    return *client != NULL;
}

struct json_object *console_ask(struct console_client *client, const char *path, const char *body,
                                struct err *err)
{
    struct console_client_request request = {.path = path,
                                             .body = body ? slice_of(body) : SLICE_NULL};
    return console_ask_with(client, &request, err);
}

struct json_object *console_ask_with(struct console_client *client,
                                     const struct console_client_request *request, struct err *err)
{
    struct buf text = {0};
    struct json_object *answer = NULL;
    struct json_tokener *tokener;
    if (console_client_send(client, request, &text, NULL, err)) {
        tokener = json_tokener_new();
        answer = json_tokener_parse_ex(tokener, text.data ? text.data : "", (int)text.len + 1);
        json_tokener_free(tokener);
        if (!json_object_is_type(answer, json_type_object)) {
            json_object_put(answer);
            answer = NULL;
            (void)err_set(err, ERR_PROTOCOL, "what listens there does not answer like a console");
        }
    }
    buf_deinit(&text);
    return answer;
}

static void add_param(struct buf *path, const char *name, struct json_object *value)
{
    console_client_add_param(
        path, name,
        (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)});
}

void console_ask_add_filter(struct buf *path, const struct dlq_filter *filter)
{
    struct buf text = {0};
    struct json_object *object;
    dlq_filter_to_json(filter, &text);
    object = json_tokener_parse(text.data);
    json_object_object_foreach(object, name, value)
    {
        if (!json_object_is_type(value, json_type_array)) {
            add_param(path, name, value);
            continue;
        }
        for (size_t i = 0; i < json_object_array_length(value); i++)
            add_param(path, name, json_object_array_get_idx(value, i));
    }
    json_object_put(object);
    buf_deinit(&text);
}

struct json_object *answer_member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    if (json_object_is_type(object, json_type_object))
        (void)json_object_object_get_ex(object, name, &value);
    return value;
}

struct slice answer_bytes(struct json_object *object, const char *name)
{
    struct json_object *value = answer_member(object, name);
    if (!json_object_is_type(value, json_type_string))
        return SLICE_LIT("");
    return (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

const char *answer_text(struct json_object *object, const char *name)
{
    return answer_bytes(object, name).data;
}

int64_t answer_number(struct json_object *object, const char *name)
{
    struct json_object *value = answer_member(object, name);
    return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
}

bool answer_bool(struct json_object *object, const char *name)
{
    return json_object_get_boolean(answer_member(object, name));
}

int64_t answer_ms(struct json_object *object, const char *name)
{
    struct slice text = answer_bytes(object, name);
    uint64_t ns;
    return text.len > 0 && str_rfc3339_to_ns(text, &ns) ? (int64_t)(ns / 1000000) : 0;
}

size_t answer_count(struct json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}
