/*
 * One table of endpoints says all that there is to know of each: method, path, who may, parameters,
 * handler, and what the OpenAPI document says of it. What is not in the table does not exist; a
 * parameter that an endpoint does not name is refused, so that a misspelt filter does not show
 * everything.
 */
#ifndef OG_CONSOLE_ROUTER_H
#define OG_CONSOLE_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "console/guard.h"
#include "console/request.h"
#include "console/server.h"

#define ROUTER_PARAMS_MAX 32
#define ROUTER_PATH_MAX   6

struct endpoint_param {
    const char *name;
    bool required; /* of a query; what stands in the path always is */
    bool repeats;
    const char *type; /* JSON Schema of its text, as JSON */
    const char *doc;
};

struct endpoint_body {
    const char *type;     /* media type: none that a form of another site can send */
    const char *schema;   /* JSON Schema, as JSON */
    const char *too_long; /* what to do beyond console.limits.body; NULL: nothing */
};

struct route_match;

struct endpoint {
    enum request_method method;
    const char *path; /* {name} takes one segment that no other path names */
    enum role role;   /* ROLE_NONE: anybody, unchecked */
    bool changes;
    const char *id, *summary, *doc;
    const struct endpoint_param *params; /* path and query; a NULL name ends it; may be NULL */
    const char *answer_type;             /* media type of 200, or several: "a|b" */
    const char *answer;                  /* JSON Schema of 200, as JSON; NULL: none is promised */
    void (*serve)(void *arg, struct call *call, const struct route_match *match);
    const struct endpoint_body *body; /* of the request; NULL: it has none */
};

struct route_param {
    const struct endpoint_param *param;
    struct slice value; /* decoded; within the match's text */
};

struct route_match {
    const struct endpoint *endpoint;
    struct guard_pass who; /* filled by whoever checked */
    struct route_param params[ROUTER_PARAMS_MAX];
    size_t param_count;
    struct buf text;
};

enum router_result {
    ROUTER_FOUND,
    ROUTER_NOT_FOUND,
    ROUTER_OTHER_METHOD, /* `allowed` has those that there are */
};

/* table ends with a NULL path. HEAD is served where GET is. Only finds it: parameters are read by
 * router_read, after the guard has let the request in. */
enum router_result router_find(const struct endpoint *table, const struct console_request *req,
                               const struct endpoint **endpoint, struct buf *allowed);
/* Fills *match (empty before; router_match_deinit in any case). False: the request is wrong. */
bool router_read(const struct endpoint *endpoint, const struct console_request *req,
                 struct route_match *match, struct err *err) MUST_CHECK;
void router_match_deinit(struct route_match *match);
/* The (first) value; null: not given. NUL-terminated where it is not null. */
struct slice router_param(const struct route_match *match, const char *name);

#endif
