/* See console_route.h: which group a route has, the console knows. */
#include "console_route.h"

#include <string.h>

#include <json-c/json.h>

bool console_route_group(struct cli *cli, struct console_client *client, struct buf *group,
                         struct err *err)
{
    const char *given = cli_option(cli, "--group"), *name = cli_option(cli, "--route");
    struct json_object *answer, *routes;
    if (given)
        buf_add_text(group, given);
    if (given || !name)
        return true;
    answer = console_ask(client, "/api/v1/overview", NULL, err);
    if (!answer)
        return false;
    routes = answer_member(answer, "routes");
    for (size_t i = 0; i < answer_count(routes); i++) {
        struct json_object *route = json_object_array_get_idx(routes, i);
        if (strcmp(answer_text(route, "name"), name) == 0)
            buf_add_text(group, answer_text(route, "group"));
    }
    json_object_put(answer);
    return group->len > 0 || err_set(err, ERR_USAGE, "no such route: %s", name);
}
