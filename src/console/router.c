/* See router.h. Segments are taken apart before they are decoded, so that a %2F is part of a key
 * and not a way to another endpoint; there is no "..", and no second decoding. */
#include "console/router.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Length of "{name}" at the beginning, or 0. */
static size_t placeholder(struct slice segment)
{
    return segment.len > 2 && segment.data[0] == '{' ? segment.len : 0;
}

static bool fits(const struct endpoint *endpoint, const struct console_request *req)
{
    struct slice pattern = slice_of(endpoint->path), path = req->path;
    struct slice want, got;
    for (;;) {
        bool more = request_next_segment(&pattern, &want);
        if (more != request_next_segment(&path, &got))
            return false;
        if (!more)
            return true;
        if (placeholder(want) ? got.len == 0 : !slice_equal(want, got))
            return false;
    }
}

/* "/jobs/dry-run" is not the job of that name. */
static bool is_named(const struct endpoint *table, const struct console_request *req)
{
    for (; table->path; table++) {
        if (slice_equal_text(req->path, table->path))
            return true;
    }
    return false;
}

static bool takes(const struct endpoint *endpoint, enum request_method method)
{
    return endpoint->method == method || (endpoint->method == METHOD_GET && method == METHOD_HEAD);
}

enum router_result router_find(const struct endpoint *table, const struct console_request *req,
                               const struct endpoint **endpoint, struct buf *allowed)
{
    bool there = false;
    bool named = is_named(table, req);
    for (; table->path; table++) {
        if (named ? !slice_equal_text(req->path, table->path) : !fits(table, req))
            continue;
        if (takes(table, req->method)) {
            *endpoint = table;
            buf_reset(allowed);
            return ROUTER_FOUND;
        }
        buf_printf(allowed, "%s%s", there ? ", " : "", request_method_name(table->method));
        if (table->method == METHOD_GET)
            buf_add_text(allowed, ", HEAD");
        there = true;
    }
    return there ? ROUTER_OTHER_METHOD : ROUTER_NOT_FOUND;
}

static const struct endpoint_param *find_param(const struct endpoint *endpoint, struct slice name)
{
    const struct endpoint_param *param = endpoint->params;
    for (; param && param->name; param++) {
        if (slice_equal_text(name, param->name))
            return param;
    }
    return NULL;
}

/* Room for the decoded texts was made at the start: so the values stay where they are. */
static bool decode(struct route_match *match, struct slice raw, bool query, struct slice *out,
                   struct err *err)
{
    size_t at = match->text.len;
    if (!request_decode(&match->text, raw, query))
        return err_set(err, ERR_USAGE, "a '%%' in the address must be followed by two hex digits");
    *out = (struct slice){match->text.data + at, match->text.len - at};
    buf_add_char(&match->text, '\0');
    return true;
}

static bool add_param(struct route_match *match, const struct endpoint_param *param,
                      struct slice value, struct err *err)
{
    for (size_t i = 0; !param->repeats && i < match->param_count; i++) {
        if (match->params[i].param == param)
            return err_set(err, ERR_USAGE, "%s is given twice", param->name);
    }
    if (match->param_count == ROUTER_PARAMS_MAX)
        return err_set(err, ERR_USAGE, "more than %d parameters", ROUTER_PARAMS_MAX);
    match->params[match->param_count++] = (struct route_param){param, value};
    return true;
}

static bool read_path(const struct console_request *req, struct route_match *match, struct err *err)
{
    struct slice pattern = slice_of(match->endpoint->path), path = req->path;
    struct slice want, got, value;
    while (request_next_segment(&pattern, &want) && request_next_segment(&path, &got)) {
        const struct endpoint_param *param;
        if (!placeholder(want))
            continue;
        param = find_param(match->endpoint, (struct slice){want.data + 1, want.len - 2});
        if (!param || !decode(match, got, false, &value, err) ||
            !add_param(match, param, value, err))
            return param ? false : err_set(err, ERR_INTERNAL, "an unknown placeholder");
    }
    return true;
}

static bool read_query(const struct console_request *req, struct route_match *match,
                       struct err *err)
{
    struct slice query = req->query, raw_name, raw_value, name, value;
    while (request_next_pair(&query, &raw_name, &raw_value)) {
        const struct endpoint_param *param;
        char brace[72];
        if (!decode(match, raw_name, true, &name, err) ||
            !decode(match, raw_value, true, &value, err))
            return false;
        param = find_param(match->endpoint, name);
        if (param)
            snprintf(brace, sizeof(brace), "{%s}", param->name);
        if (!param || strstr(match->endpoint->path, brace))
            return err_set(err, ERR_USAGE, "there is no parameter of the name %.40s", name.data);
        if (!add_param(match, param, value, err))
            return false;
    }
    return true;
}

bool router_read(const struct endpoint *endpoint, const struct console_request *req,
                 struct route_match *match, struct err *err)
{
    match->endpoint = endpoint;
    /* Each piece gets a NUL, and there are no more of them than bytes. */
    buf_reserve(&match->text, 2 * (req->path.len + req->query.len) + 8);
    if (!read_path(req, match, err) || !read_query(req, match, err))
        return false;
    for (const struct endpoint_param *param = endpoint->params; param && param->name; param++) {
        if (param->required && slice_is_null(router_param(match, param->name)))
            return err_set(err, ERR_USAGE, "%s is required", param->name);
    }
    return true;
}

void router_match_deinit(struct route_match *match)
{
    buf_deinit(&match->text);
}

struct slice router_param(const struct route_match *match, const char *name)
{
    for (size_t i = 0; i < match->param_count; i++) {
        if (strcmp(match->params[i].param->name, name) == 0)
            return match->params[i].value;
    }
    return SLICE_NULL;
}
