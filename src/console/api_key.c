/* The ledger's words on a key. */
#include <string.h>

#include "base/mem.h"
#include "console/console_parts.h"

struct asked {
    struct call *call; /* NULL: the client has gone */
};

static void gone(void *arg)
{
    ((struct asked *)arg)->call = NULL;
}

static void told(void *arg, bool found, const struct buf *words, const struct err *err)
{
    struct asked *asked = arg;
    struct buf body = {0};
    if (asked->call && err) {
        front_problem_err(asked->call, err);
    } else if (asked->call) {
        buf_printf(&body, "{\"found\":%s,\"words\":", found ? "true" : "false");
        buf_add_json(&body, found ? buf_slice(words) : SLICE_LIT("nothing is known of this key"));
        buf_add_text(&body, "}\n");
        front_json(asked->call, &body);
    }
    buf_deinit(&body);
    mem_free(asked);
}

static bool has_topic(const struct route_config *route, struct slice topic)
{
    for (size_t i = 0; i < route->topic_count; i++) {
        if (slice_equal_text(topic, route->topics[i]))
            return true;
    }
    return route->topics_regex != NULL;
}

void api_key(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct slice name = router_param(match, "route"), topic = router_param(match, "topic");
    const struct route_config *route = NULL;
    struct asked *asked;
    if (!memchr(name.data, '\0', name.len) && !memchr(topic.data, '\0', topic.len))
        route = config_find_route(console->config, name.data);
    if (!route || !has_topic(route, topic)) {
        front_problem(call, 404, route ? "the route has no such topic" : "there is no such route");
        return;
    }
    asked = mem_zalloc(sizeof(*asked));
    asked->call = call;
    call_on_gone(call, gone, asked);
    keys_ask(console->keys, route, topic.data, router_param(match, "key"), told, asked);
}
