/* Writes what the table says, and nothing that it does not say. Schemas stand in the table as JSON
 * and are passed on as they are. */
#include "console/openapi.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    buf_add_json(out, slice_of(text));
}

static bool is_in_path(const struct endpoint *endpoint, const char *name)
{
    char brace[72];
    snprintf(brace, sizeof(brace), "{%s}", name);
    return strstr(endpoint->path, brace) != NULL;
}

static void add_param(struct buf *out, const struct endpoint *endpoint,
                      const struct endpoint_param *param)
{
    bool in_path = is_in_path(endpoint, param->name);
    buf_add_char(out, '{');
    add_text(out, "name", param->name);
    buf_printf(out, ",\"in\":\"%s\",\"required\":%s,", in_path ? "path" : "query",
               in_path || param->required ? "true" : "false");
    add_text(out, "description", param->doc);
    if (param->repeats)
        buf_printf(out, ",\"explode\":true,\"schema\":{\"type\":\"array\",\"items\":%s}}",
                   param->type);
    else
        buf_printf(out, ",\"schema\":%s}", param->type);
}

static void add_problem(struct buf *out, const char *status, const char *doc)
{
    buf_printf(out, ",\"%s\":{", status);
    add_text(out, "description", doc);
    buf_add_text(out, ",\"content\":{\"application/problem+json\":{\"schema\":"
                      "{\"$ref\":\"#/components/schemas/Problem\"}}}}");
}

static void add_content(struct buf *out, const struct endpoint *endpoint)
{
    const char *type = endpoint->answer_type;
    do {
        size_t len = strcspn(type, "|");
        if (type != endpoint->answer_type)
            buf_add_char(out, ',');
        buf_add_json(out, (struct slice){type, len});
        buf_printf(out, ":{\"schema\":%s}", endpoint->answer ? endpoint->answer : "{}");
        type += len + (type[len] == '|');
    } while (*type);
}

static void add_answers(struct buf *out, const struct endpoint *endpoint)
{
    buf_add_text(out, "\"responses\":{\"200\":{\"description\":\"the answer\",\"content\":{");
    add_content(out, endpoint);
    buf_add_text(out, "}}");
    if (endpoint->role != ROLE_NONE) {
        add_problem(out, "400", "the request is wrong");
        add_problem(out, "401", "no token that this console knows");
        add_problem(out, "403", "the role does not suffice, or it came from another site");
        add_problem(out, "404", "there is no such thing");
        add_problem(out, "421", "sent to a name that is not the console's");
        add_problem(out, "503", "something that is needed is away");
    }
    if (endpoint->changes)
        add_problem(out, "409", "not as things stand");
    if (endpoint->body)
        add_problem(out, "415", "the body is of another media type");
    if (endpoint->body && endpoint->body->too_long)
        add_problem(out, "413", endpoint->body->too_long);
    add_problem(out, "default", "anything else that went wrong");
    buf_add_char(out, '}');
}

static void add_operation(struct buf *out, const struct endpoint *endpoint)
{
    const struct endpoint_param *param = endpoint->params;
    char method[16] = {0};
    const char *name = request_method_name(endpoint->method);
    for (size_t i = 0; name[i] && i + 1 < sizeof(method); i++)
        method[i] = (char)(name[i] | 0x20);
    buf_printf(out, "\"%s\":{", method);
    add_text(out, "operationId", endpoint->id);
    buf_add_char(out, ',');
    add_text(out, "summary", endpoint->summary);
    buf_add_char(out, ',');
    add_text(out, "description", endpoint->doc ? endpoint->doc : endpoint->summary);
    buf_add_char(out, ',');
    add_text(out, "x-role", role_name(endpoint->role));
    if (endpoint->role == ROLE_NONE)
        buf_add_text(out, ",\"security\":[]");
    buf_add_text(out, ",\"parameters\":[");
    for (; param && param->name; param++) {
        if (param != endpoint->params)
            buf_add_char(out, ',');
        add_param(out, endpoint, param);
    }
    buf_add_text(out, "],");
    if (endpoint->body)
        buf_printf(out, "\"requestBody\":{\"required\":true,\"content\":{\"%s\":{\"schema\":%s}}},",
                   endpoint->body->type, endpoint->body->schema);
    add_answers(out, endpoint);
    buf_add_char(out, '}');
}

/* Operations of one path stand together, at the first of them. */
static bool is_first(const struct endpoint *table, const struct endpoint *endpoint)
{
    for (; table != endpoint; table++) {
        if (strcmp(table->path, endpoint->path) == 0)
            return false;
    }
    return true;
}

static void add_path(struct buf *out, const struct endpoint *first)
{
    buf_add_json(out, slice_of(first->path));
    buf_add_text(out, ":{");
    for (const struct endpoint *at = first; at->path; at++) {
        if (strcmp(at->path, first->path) != 0)
            continue;
        if (at != first)
            buf_add_char(out, ',');
        add_operation(out, at);
    }
    buf_add_char(out, '}');
}

void openapi_write(struct buf *out, const struct endpoint *table, struct slice schemas)
{
    buf_add_text(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"oncegate console\",");
    add_text(out, "version", ONCEGATE_VERSION);
    buf_add_text(out, ",\"description\":\"Dead letters and what can be done about them.\"},"
                      "\"security\":[{},{\"token\":[]},{\"basic\":[]}],\"paths\":{");
    for (const struct endpoint *at = table; at->path; at++) {
        if (!is_first(table, at))
            continue;
        if (at != table)
            buf_add_char(out, ',');
        add_path(out, at);
    }
    buf_add_text(out, "},\"components\":{\"securitySchemes\":{"
                      "\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                      "\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"}},\"schemas\":");
    buf_add_slice(out, schemas);
    buf_add_text(out, "}}\n");
}
