/* Which endpoint, with what parameters; and that the document says the same. */
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "console/openapi.h"
#include "console/router.h"

static const struct endpoint_param params[] = {
    {"topic", true, false, "{\"type\":\"string\"}", "the topic"},
    {"key", true, false, "{\"type\":\"string\"}", "the key"},
    {"limit", false, false, "{\"type\":\"integer\"}", "how many"},
    {"state", false, true, "{\"type\":\"string\"}", "which"},
    {0},
};
static const struct endpoint table[] = {
    {METHOD_GET, "/api/v1/keys/{topic}/{key}", ROLE_VIEWER, false, "getKey", "one key", NULL,
     params, "application/json", "{\"$ref\":\"#/components/schemas/Key\"}", NULL, NULL},
    {METHOD_POST, "/api/v1/keys/{topic}/{key}", ROLE_OPERATOR, true, "setKey", "change", NULL,
     params, "application/json", NULL, NULL, NULL},
    {METHOD_POST, "/api/v1/keys/all/reset", ROLE_OPERATOR, true, "resetKeys", "change", NULL, NULL,
     "application/json", NULL, NULL, NULL},
    {METHOD_GET, "/livez", ROLE_NONE, false, "live", "is it there", NULL, NULL, "text/plain", NULL,
     NULL, NULL},
    {0},
};

static enum router_result find(enum request_method method, const char *path,
                               const struct endpoint **endpoint, struct buf *allowed)
{
    struct console_request req = {.method = method, .path = slice_of(path)};
    *endpoint = NULL;
    return router_find(table, &req, endpoint, allowed);
}

static void test_router_find_by_path_and_method(void **state)
{
    const struct endpoint *endpoint;
    struct buf allowed = {0};
    (void)state;
    assert_int_equal(find(METHOD_GET, "/livez", &endpoint, &allowed), ROUTER_FOUND);
    assert_ptr_equal(endpoint, &table[3]);
    assert_int_equal(find(METHOD_HEAD, "/api/v1/keys/a/b", &endpoint, &allowed), ROUTER_FOUND);
    assert_ptr_equal(endpoint, &table[0]);
    assert_int_equal(find(METHOD_POST, "/api/v1/keys/a/b%2Fc", &endpoint, &allowed), ROUTER_FOUND);
    assert_ptr_equal(endpoint, &table[1]);
    static const char *const none[] = {"/",
                                       "/livez/",
                                       "/livezz",
                                       "//livez",
                                       "/api/v1/keys/a",
                                       "/api/v1/keys//b",
                                       "/%6civez",
                                       "/api/v1/keys/a/b/",
                                       "/api/v1/keys/a/b/c",
                                       "/api/../livez",
                                       ""};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (find(METHOD_GET, none[i], &endpoint, &allowed) != ROUTER_NOT_FOUND)
            fail_msg("%s", none[i]);
    }
    assert_int_equal(find(METHOD_DELETE, "/api/v1/keys/a/b", &endpoint, &allowed),
                     ROUTER_OTHER_METHOD);
    assert_string_equal(allowed.data, "GET, HEAD, POST");
    buf_reset(&allowed);
    assert_int_equal(find(METHOD_GET, "/api/v1/keys/all/reset", &endpoint, &allowed),
                     ROUTER_OTHER_METHOD);
    assert_string_equal(allowed.data, "POST"); /* it is no key of a topic "all" */
    buf_deinit(&allowed);
}

static bool read_it(const char *path, const char *query, struct route_match *match, struct err *err)
{
    struct console_request req = {
        .method = METHOD_GET, .path = slice_of(path), .query = slice_of(query)};
    memset(match, 0, sizeof(*match));
    return router_read(&table[0], &req, match, err);
}

static void test_router_read_decodes_parameters(void **state)
{
    struct route_match match;
    struct err err = {0};
    (void)state;
    assert_true(
        read_it("/api/v1/keys/a%20b/x%2Fy%00+", "state=open&limit=1%302&state=a+b", &match, &err));
    assert_string_equal(router_param(&match, "topic").data, "a b");
    assert_true(slice_equal(router_param(&match, "key"), SLICE_LIT("x/y\0+")));
    assert_string_equal(router_param(&match, "limit").data, "102");
    assert_string_equal(router_param(&match, "state").data, "open");
    assert_int_equal(match.param_count, 5);
    assert_string_equal(match.params[4].value.data, "a b");
    router_match_deinit(&match);
}

static void test_router_read_what_is_unknown_is_refused(void **state)
{
    static const char *const bad[] = {"limt=1",  "limit=1&limit=2", "limit=%", "%zz=1",
                                      "topic=x", "limit%00=1",      "=1"};
    struct route_match match;
    struct err err = {0};
    struct buf many = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_it("/api/v1/keys/a/b", bad[i], &match, &err))
            fail_msg("%s", bad[i]);
        assert_int_equal(err.code, ERR_USAGE);
        router_match_deinit(&match);
    }
    for (int i = 0; i < 100; i++)
        buf_add_text(&many, "&state=x");
    assert_false(read_it("/api/v1/keys/a/b", many.data, &match, &err));
    router_match_deinit(&match);
    buf_deinit(&many);
}

static const char schemas[] = "{\"Key\":{\"type\":\"object\"},\"Problem\":{\"type\":\"object\"}}";

static struct json_object *at(struct json_object *in, const char *pointer)
{
    struct json_object *out = NULL;
    if (json_pointer_get(in, pointer, &out) != 0)
        fail_msg("%s is not there", pointer);
    return out;
}

static void test_openapi_write_says_the_table(void **state)
{
    struct buf out = {0};
    struct json_object *doc;
    (void)state;
    openapi_write(&out, table, slice_of(schemas));
    doc = json_tokener_parse(out.data);
    assert_non_null(doc);
    assert_int_equal(json_object_object_length(at(doc, "/paths")), 3);
    assert_string_equal(
        json_object_get_string(at(doc, "/paths/~1api~1v1~1keys~1{topic}~1{key}/post/x-role")),
        "operator");
    assert_string_equal(json_object_get_string(
                            at(doc, "/paths/~1api~1v1~1keys~1{topic}~1{key}/get/parameters/0/in")),
                        "path");
    assert_string_equal(
        json_object_get_string(
            at(doc, "/paths/~1api~1v1~1keys~1{topic}~1{key}/get/parameters/3/schema/type")),
        "array");
    assert_non_null(at(doc, "/paths/~1livez/get/responses/200"));
    assert_non_null(at(doc, "/components/schemas/Problem"));
    json_object_put(doc);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_find_by_path_and_method),
        cmocka_unit_test(test_router_read_decodes_parameters),
        cmocka_unit_test(test_router_read_what_is_unknown_is_refused),
        cmocka_unit_test(test_openapi_write_says_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
