/* Who is let in, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "console/guard.h"

#define VIEWER "viewer-token-0123456789"
#define ADMIN  "admin-token-0123456789"
#define SECOND "admin-token-second-one"

static char loopback[] = "127.0.0.1", everywhere[] = "0.0.0.0", a_name[] = "console.example",
            a_proxy[] = "10.0.0.7", user_header[] = "X-Forwarded-User",
            role_header[] = "X-Forwarded-Role";
static char *names[] = {a_name};
static char *proxies[] = {a_proxy};

static struct console_config open_config(void)
{
    return (struct console_config){
        .listen = {loopback, 9465},
        .hosts = names,
        .host_count = 1,
        .proxy = {.user_header = user_header, .role_header = role_header}};
}

/* Up to eight headers, name and value in turn, ended by NULL. */
struct asked {
    struct request_header_line lines[8];
    struct console_request req;
};

static void ask(struct asked *asked, const char *peer, const char *const *headers)
{
    memset(asked, 0, sizeof(*asked));
    for (size_t i = 0; headers[2 * i]; i++) {
        asked->lines[i] = (struct request_header_line){slice_of(headers[2 * i]),
                                                       slice_of(headers[2 * i + 1])};
        asked->req.header_count++;
    }
    asked->req.headers = asked->lines;
    asked->req.peer = peer;
}

/* 0: let in. */
static int status_of(const struct guard *guard, const char *peer, enum role role, bool changes,
                     const char *const *headers, struct guard_pass *pass)
{
    struct asked asked;
    struct guard_pass mine;
    struct guard_no no = {0};
    struct guard_need need = {.role = role, .changes = changes};
    ask(&asked, peer, headers);
    return guard_check(guard, &asked.req, &need, pass ? pass : &mine, &no) ? 0 : no.status;
}

#define HEADERS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void test_guard_open_on_loopback_everybody_is_admin(void **state)
{
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard = guard_new(&config, &err);
    struct guard_pass pass;
    (void)state;
    assert_non_null(guard);
    assert_int_equal(
        status_of(guard, "127.0.0.1", ROLE_VIEWER, false, HEADERS("Host", "127.0.0.1:9465"), &pass),
        0);
    assert_int_equal(pass.role, ROLE_ADMIN);
    assert_string_equal(pass.user, "local");
    guard_free(&guard);
}

static void test_guard_beyond_loopback_without_credentials_is_no_guard(void **state)
{
    struct console_config config = open_config();
    struct err err = {0};
    (void)state;
    config.listen.host = everywhere;
    assert_null(guard_new(&config, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void test_guard_host_of_another_name_is_refused(void **state)
{
    static const char *const good[] = {"127.0.0.1:9465",     "localhost:9465", "LOCALHOST",
                                       "[::1]:9465",         "192.168.7.4",    "console.example",
                                       "Console.Example:443"};
    static const char *const bad[] = {
        "evil.example", "127.0.0.1.evil.example:9465", "localhost.evil",   "",
        "[::1",         "evil.example:127.0.0.1",      "console.example.", "127.1"};
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard = guard_new(&config, &err);
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(
            status_of(guard, "127.0.0.1", ROLE_VIEWER, false, HEADERS("Host", good[i]), NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (status_of(guard, "127.0.0.1", ROLE_VIEWER, false, HEADERS("Host", bad[i]), NULL) != 421)
            fail_msg("%s", bad[i]);
    }
    guard_free(&guard);
}

static void test_guard_other_sites_are_refused(void **state)
{
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard;
    (void)state;
    config.allow_changes = true;
    guard = guard_new(&config, &err);
#define LOOK(...)                                                                                  \
    status_of(guard, "127.0.0.1", ROLE_VIEWER, false,                                              \
              HEADERS("Host", "localhost:9465", __VA_ARGS__), NULL)
#define CHANGE(...)                                                                                \
    status_of(guard, "127.0.0.1", ROLE_OPERATOR, true,                                             \
              HEADERS("Host", "localhost:9465", "Content-Type", "application/json", __VA_ARGS__),  \
              NULL)
    assert_int_equal(LOOK("Sec-Fetch-Site", "same-origin"), 0);
    assert_int_equal(LOOK("Sec-Fetch-Site", "none"), 0);
    assert_int_equal(LOOK("Sec-Fetch-Site", "cross-site"), 403);
    assert_int_equal(LOOK("Sec-Fetch-Site", "same-site"), 403);
    assert_int_equal(LOOK("Origin", "http://evil.example"), 403);
    assert_int_equal(LOOK("Origin", "http://localhost:9465"), 0);
    assert_int_equal(CHANGE("Sec-Fetch-Site", "same-origin"), 0);
    assert_int_equal(CHANGE("Sec-Fetch-Site", "none"), 403);
    assert_int_equal(CHANGE("Sec-Fetch-Site", "cross-site"), 403);
    assert_int_equal(CHANGE("Origin", "null"), 403);
    assert_int_equal(CHANGE("Origin", "http://localhost:9465"), 0);
    assert_int_equal(CHANGE("Origin", "https://localhost:9465"), 403);
    assert_int_equal(CHANGE("Origin", "http://localhost:9466"), 403);
    assert_int_equal(CHANGE("Origin", "http://localhost:9465.evil.example"), 403);
    guard_free(&guard);
}

static void test_guard_changes_need_json_and_permission(void **state)
{
    static const char *const types[][2] = {
        {"application/json", ""},    {"application/json; charset=utf-8", ""},
        {"text/plain", "no"},        {"application/x-www-form-urlencoded", "no"},
        {"application/jsonp", "no"}, {"", "no"}};
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard = guard_new(&config, &err);
    (void)state;
    assert_int_equal(status_of(guard, "127.0.0.1", ROLE_OPERATOR, true,
                               HEADERS("Host", "localhost", "Content-Type", "application/json"),
                               NULL),
                     403);
    config.allow_changes = true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        assert_int_equal(status_of(guard, "127.0.0.1", ROLE_OPERATOR, true,
                                   HEADERS("Host", "localhost", "Content-Type", types[i][0]), NULL),
                         types[i][1][0] ? 415 : 0);
    assert_int_equal(
        status_of(guard, "127.0.0.1", ROLE_OPERATOR, true, HEADERS("Host", "localhost"), NULL),
        415);
    guard_free(&guard);
}

static char *token_file(const char *text)
{
    char *path = strdup("/tmp/oncegate-tokens-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static int with_authorization(const struct guard *guard, enum role role, const char *value,
                              struct guard_pass *pass)
{
    return status_of(guard, "10.1.1.1", role, false,
                     HEADERS("Host", "localhost", "Authorization", value), pass);
}

static void test_guard_tokens_give_roles(void **state)
{
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard;
    struct guard_pass pass;
    struct buf basic = {0};
    (void)state;
    config.tokens.viewer_file = token_file(VIEWER "\n");
    config.tokens.admin_file = token_file(ADMIN "\r\n\n" SECOND);
    guard = guard_new(&config, &err);
    assert_non_null(guard);
    assert_int_equal(with_authorization(guard, ROLE_VIEWER, "Bearer " VIEWER, &pass), 0);
    assert_int_equal(pass.role, ROLE_VIEWER);
    assert_int_equal(with_authorization(guard, ROLE_OPERATOR, "Bearer " VIEWER, &pass), 403);
    assert_int_equal(with_authorization(guard, ROLE_ADMIN, "bearer " ADMIN, &pass), 0);
    assert_int_equal(with_authorization(guard, ROLE_ADMIN, "Bearer " SECOND, &pass), 0);
    buf_add_text(&basic, "Basic ");
    base64_encode(&basic, SLICE_LIT("ada:" ADMIN));
    assert_int_equal(with_authorization(guard, ROLE_ADMIN, basic.data, &pass), 0);
    assert_string_equal(pass.user, "ada");
    guard_free(&guard);
    buf_deinit(&basic);
    unlink(config.tokens.viewer_file);
    unlink(config.tokens.admin_file);
    free(config.tokens.viewer_file);
    free(config.tokens.admin_file);
}

static void test_guard_what_is_no_token_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer " ADMIN "x",
                                      "Bearer admin-token-012345678",
                                      "Bearer  " ADMIN,
                                      ADMIN,
                                      "Basic " ADMIN,
                                      "Basic OmFkbWluLXRva2VuLTAxMjM0NTY3ODk=",     /* no name */
                                      "Basic YSBiOmFkbWluLXRva2VuLTAxMjM0NTY3ODk=", /* "a b" */
                                      "Digest " ADMIN};
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard;
    (void)state;
    config.tokens.admin_file = token_file(ADMIN "\n");
    guard = guard_new(&config, &err);
    assert_non_null(guard);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (with_authorization(guard, ROLE_VIEWER, bad[i], NULL) != 401)
            fail_msg("%s", bad[i]);
    }
    /* Loopback is no credential once there are tokens; nor is a second header. */
    assert_int_equal(
        status_of(guard, "127.0.0.1", ROLE_VIEWER, false, HEADERS("Host", "localhost"), NULL), 401);
    assert_int_equal(status_of(guard, "10.1.1.1", ROLE_VIEWER, false,
                               HEADERS("Host", "localhost", "Authorization", "Bearer " ADMIN,
                                       "Authorization", "Bearer x"),
                               NULL),
                     401);
    guard_free(&guard);
    unlink(config.tokens.admin_file);
    free(config.tokens.admin_file);
}

static void test_guard_poor_token_files_are_refused(void **state)
{
    static const char *const files[] = {"short\n", "\n\n", ADMIN "\n" ADMIN "\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct console_config config = open_config();
        struct err err = {0};
        config.tokens.admin_file = token_file(files[i]);
        assert_null(guard_new(&config, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_null(strstr(err.text, ADMIN));
        unlink(config.tokens.admin_file);
        free(config.tokens.admin_file);
    }
}

static void test_guard_proxy_is_believed_from_its_address_only(void **state)
{
    struct console_config config = open_config();
    struct err err = {0};
    struct guard *guard;
    struct guard_pass pass;
    const char *const *said = HEADERS("Host", "console.example", "X-Forwarded-User", "ada",
                                      "X-Forwarded-Role", "operator");
    (void)state;
    config.proxy.addresses = proxies;
    config.proxy.address_count = 1;
    config.listen.host = everywhere;
    guard = guard_new(&config, &err);
    assert_non_null(guard);
    assert_int_equal(status_of(guard, "10.0.0.7", ROLE_OPERATOR, false, said, &pass), 0);
    assert_string_equal(pass.user, "ada");
    assert_int_equal(pass.role, ROLE_OPERATOR);
    assert_int_equal(status_of(guard, "10.0.0.8", ROLE_VIEWER, false, said, &pass), 401);
    assert_int_equal(status_of(guard, "127.0.0.1", ROLE_VIEWER, false, said, &pass), 401);
    assert_int_equal(status_of(guard, "10.0.0.7", ROLE_VIEWER, false,
                               HEADERS("Host", "console.example", "X-Forwarded-User", "ada"),
                               &pass),
                     401);
    assert_int_equal(status_of(guard, "10.0.0.7", ROLE_VIEWER, false,
                               HEADERS("Host", "console.example", "X-Forwarded-User", "ada",
                                       "X-Forwarded-Role", "viewer", "X-Forwarded-Role", "admin"),
                               &pass),
                     401);
    guard_free(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_open_on_loopback_everybody_is_admin),
        cmocka_unit_test(test_guard_beyond_loopback_without_credentials_is_no_guard),
        cmocka_unit_test(test_guard_host_of_another_name_is_refused),
        cmocka_unit_test(test_guard_other_sites_are_refused),
        cmocka_unit_test(test_guard_changes_need_json_and_permission),
        cmocka_unit_test(test_guard_tokens_give_roles),
        cmocka_unit_test(test_guard_what_is_no_token_is_refused),
        cmocka_unit_test(test_guard_poor_token_files_are_refused),
        cmocka_unit_test(test_guard_proxy_is_believed_from_its_address_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
