/* What the console says of itself. */
#include "console/console_parts.h"

void api_config(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct buf yaml = {0}, body = {0};
    (void)match;
    config_show(console->config, &yaml);
    buf_add_text(&body, "{\"yaml\":");
    buf_add_json(&body, buf_slice(&yaml));
    buf_add_text(&body, "}\n");
    reply_json(call, &body);
    buf_deinit(&yaml);
    buf_deinit(&body);
}

void api_events(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    (void)match;
    if (!events_join(console->events, call, request_header(call_request(call), "Last-Event-ID")))
        reply_problem(call, 503, "too many pages listen already");
}

void api_openapi(void *arg, struct call *call, const struct route_match *match)
{
    struct buf body = {0};
    (void)arg;
    (void)match;
    console_openapi(&body);
    reply_json(call, &body);
    buf_deinit(&body);
}

void api_metrics(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct buf body = {0};
    (void)match;
    job_metrics_update(console->job_metrics);
    metrics_render(console->options.metrics, &body);
    call_header(call, "Cache-Control", "no-store");
    call_reply(call, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&body));
    buf_deinit(&body);
}

/* Of the loop alone: topics that cannot be read are no reason to start the console anew. */
void api_livez(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    call_header(call, "Cache-Control", "no-store");
    call_reply(call, 200, "text/plain; charset=utf-8", SLICE_LIT("live\n"));
}
