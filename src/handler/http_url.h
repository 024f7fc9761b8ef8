/* The handler's URL, taken apart once. */
#ifndef OG_HANDLER_HTTP_URL_H
#define OG_HANDLER_HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_url {
    bool tls;
    char *host; /* a name or an address, without brackets; owned */
    uint16_t port;
    char *target;      /* path and query, "/" at least; owned */
    char *host_header; /* as it stands behind "Host: "; owned */
};

/*
 * http://host[:port][/path][?query] or https://; visible ASCII only. Userinfo and a fragment are
 * refused. On failure there is nothing to free.
 */
bool http_url_parse(struct http_url *url, const char *text, struct err *err) MUST_CHECK;
void http_url_deinit(struct http_url *url);

#endif
