/* See assets.h. Loads nothing from elsewhere, and its policy lets it load nothing from elsewhere.
 */
#include "console/assets.h"

#include <stdio.h>

#include "base/sha256.h"
#include "console/page.h"

static const char page[] =
    "This oncegate was built without its web page.\n"
    "\n"
    "To get it, build where Node 18 or newer is: `scripts/build` installs what it takes, or by "
    "hand\n"
    "\n"
    "  cd web && npm ci                         then configure and build again\n"
    "\n"
    "Everything that it would show is there by the API, which /api/openapi.json describes:\n"
    "\n"
    "  curl http://HOST:PORT/api/v1/groups      what fails, and how often\n"
    "  curl http://HOST:PORT/api/v1/letters     dead letters, newest first\n"
    "\n"
    "and by the commands `oncegate dlq groups`, `oncegate dlq list` and `oncegate dlq show`.\n";

static const char policy[] = "default-src 'self'; base-uri 'none'; form-action 'none'; "
                             "frame-ancestors 'none'; object-src 'none'";

void assets_serve(void *arg, struct call *call, const struct route_match *match)
{
    char hash[SHA256_HEX_MAX], tag[SHA256_HEX_MAX + 2];
    (void)arg;
    (void)match;
    if (page_is_built()) {
        page_serve(call);
        return;
    }
    sha256_hex((struct slice){page, sizeof(page) - 1}, hash);
    snprintf(tag, sizeof(tag), "\"%.32s\"", hash);
    call_header(call, "ETag", tag);
    call_header(call, "Cache-Control", "no-cache");
    call_header(call, "Content-Security-Policy", policy);
    if (request_list_has(request_header(call_request(call), "If-None-Match"), tag))
        call_reply(call, 304, NULL, SLICE_NULL);
    else
        call_reply(call, 200, "text/plain; charset=utf-8", (struct slice){page, sizeof(page) - 1});
}
