/* What the console reads of its own: requests (whole and byte by byte alike), addresses,
 * credentials, values in which something is hidden, and edits. The first byte says which. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "console/body.h"
#include "console/masking.h"
#include "console/router.h"
#include "console/server_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static const struct endpoint_param params[] = {{"topic", true, false, "{}", ""},
                                               {"text", false, false, "{}", ""},
                                               {"state", false, true, "{}", ""},
                                               {0}};
static const struct endpoint table[] = {
    {METHOD_GET, "/api/v1/letters/{topic}/0/7", ROLE_VIEWER, false, "", "", "", params, "", "",
     NULL, NULL},
    {METHOD_POST, "/api/v1/letters", ROLE_VIEWER, true, "", "", "", NULL, "", "", NULL, NULL},
    {0}};

static void route(const struct console_request *req)
{
    struct route_match match = {0};
    struct buf allowed = {0};
    const struct endpoint *endpoint = NULL;
    struct err err = {0};
    if (router_find(table, req, &endpoint, &allowed) == ROUTER_FOUND &&
        router_read(endpoint, req, &match, &err)) {
        for (size_t i = 0; i < match.param_count; i++)
            check(match.params[i].value.data[match.params[i].value.len] == '\0');
    }
    router_match_deinit(&match);
    buf_deinit(&allowed);
}

static struct conn *read_request(struct server *server, struct slice in, size_t step, bool *end)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    check(conn != NULL);
    conn->server = server;
    server_conn_reset(conn);
    *end = false;
    for (size_t at = 0; at < in.len && !*end;) {
        size_t len = in.len - at < step ? in.len - at : step, used = 0;
        *end = server_conn_read(conn, in.data + at, len, &used);
        check(used <= len);
        at += len;
    }
    return conn;
}

static void free_conn(struct conn *conn)
{
    buf_deinit(&conn->head);
    buf_deinit(&conn->body);
    free(conn);
}

static void requests(struct slice in)
{
    struct server server = {
        .options.limits = {.header_bytes = 2048, .body_bytes = 1000, .connections = 1}};
    bool end, end_slow;
    struct conn *conn = read_request(&server, in, SIZE_MAX, &end);
    struct conn *slow = read_request(&server, in, 1, &end_slow);
    check(end == end_slow && conn->whole == slow->whole);
    check((conn->refused != 0) == (slow->refused != 0));
    if (conn->whole) {
        check(slice_equal(conn->call.req.path, slow->call.req.path));
        check(slice_equal(conn->call.req.body, slow->call.req.body));
        check(conn->header_count == slow->header_count);
        check(conn->body.len <= 1000 && conn->head.len <= 2048);
        route(&conn->call.req);
    }
    free_conn(conn);
    free_conn(slow);
}

/* What was masked is masked again to the same, with the same places. */
static void values(struct slice in)
{
    static char email[] = "/user/email", number[] = "/cards/*/number", any[] = "/user/*/*/number";
    static char *pointers[] = {email, number, any};
    struct console_config config = {.mask = {.pointers = pointers, .pointer_count = 3}};
    struct masking masking = {&config};
    struct buf first = {0}, second = {0}, places = {0}, again = {0};
    if (masking_value(&masking, in, &first, &places) == MASKING_DONE) {
        check(masking_value(&masking, buf_slice(&first), &second, &again) == MASKING_DONE);
        check(slice_equal(buf_slice(&first), buf_slice(&second)));
        check(places.len == again.len);
    } else {
        check(first.len == 0 && places.len == 0);
    }
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&places);
    buf_deinit(&again);
}

static void credentials(struct slice in)
{
    struct buf plain = {0}, again = {0};
    if (base64_decode(&plain, in)) {
        base64_encode(&again, plain.len ? buf_slice(&plain) : SLICE_LIT(""));
        check(again.len == in.len && (in.len == 0 || memcmp(again.data, in.data, in.len) == 0));
    }
    buf_deinit(&plain);
    buf_deinit(&again);
}

/* Whatever it is, it is refused as the caller's mistake or is all there. */
static void edits(struct slice in)
{
    static const char *const names[] = {"value", "headers", "reason", NULL};
    struct err err = {0};
    struct body_edit edit = {0};
    struct body *body = body_parse(in, names, &err);
    check(body || err.code == ERR_USAGE);
    if (body && body_edit(body, &edit, &err)) {
        size_t bytes = edit.value.len;
        for (size_t i = 0; i < edit.header_count; i++) {
            check(!slice_is_null(edit.headers[i].name));
            bytes += edit.headers[i].name.len + edit.headers[i].value.len;
        }
        check(bytes <= in.len);
    } else if (body) {
        check(err.code == ERR_USAGE);
    }
    body_edit_deinit(&edit);
    body_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data + 1, size - 1};
    if (size < 2)
        return 0;
    if (data[0] % 4 == 0)
        requests(in);
    else if (data[0] % 4 == 1)
        values(in);
    else if (data[0] % 4 == 2)
        credentials(in);
    else
        edits(in);
    return 0;
}
