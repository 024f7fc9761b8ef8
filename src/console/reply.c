/* See reply.h. */
#include "console/reply.h"

#include "base/log.h"
#include "base/str.h"

static const char problem_type[] = "application/problem+json";

/* The page brings its own, wider, policy; this one is of everything else. Two of them both hold. */
static const char closed_policy[] =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void reply_add_problem(struct buf *out, int status, const char *detail)
{
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               http_reason(status), status);
    buf_add_json(out, slice_of(detail));
    buf_add_text(out, "}\n");
}

void reply_close_up(struct call *call)
{
    call_header(call, "Cache-Control", "no-store");
    call_header(call, "Content-Security-Policy", closed_policy);
}

void reply_problem(struct call *call, int status, const char *detail)
{
    struct buf body = {0};
    reply_close_up(call);
    reply_add_problem(&body, status, detail);
    call_reply(call, status, problem_type, buf_slice(&body));
    buf_deinit(&body);
}

void reply_problem_err(struct call *call, const struct err *err)
{
    switch (err->code) {
    case ERR_USAGE:
    case ERR_INPUT:
    case ERR_LIMIT:
        reply_problem(call, 400, err->text);
        break;
    case ERR_NO_FILE:
        reply_problem(call, 404, err->text);
        break;
    case ERR_UNAVAILABLE:
    case ERR_AGAIN:
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
    case ERR_CONFIG: /* a topic that is not there */
    case ERR_DENIED:
        reply_problem(call, 503, err->text);
        break;
    default:
        log_error("console_request_failed", LOG_STR("error", err->text), LOG_END);
        reply_problem(call, 500, err->text);
        break;
    }
}

void reply_json(struct call *call, const struct buf *body)
{
    reply_close_up(call);
    call_reply(call, 200, "application/json", buf_slice(body));
}
