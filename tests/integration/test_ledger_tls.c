/* The ledger by TLS: only a server whose chain and name are right is talked to, and a client
 * certificate is shown where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handler_certs.h"
#include "ledger_world.h"
#include "ports.h"

static struct cert *authority, *stranger, *server_cert, *client_cert;
static char port_text[8], host[] = "127.0.0.1";

static void start(struct ledger_world *w, const char *auth_clients)
{
    uint16_t port = ports_take();
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    const char *options[] = {"--tls-port",
                             port_text,
                             "--bind",
                             host,
                             "--tls-cert-file",
                             server_cert->cert_file,
                             "--tls-key-file",
                             server_cert->key_file,
                             "--tls-ca-cert-file",
                             authority->cert_file,
                             "--tls-auth-clients",
                             auth_clients,
                             NULL};
    ledger_world_init(w, IDENTITY_SEQUENCE, true, options);
    w->config.unix_path = NULL;
    w->config.host = host;
    w->config.port = port;
    w->config.tls_on = true;
    w->config.tls.ca_file = authority->cert_file;
}

static void test_good_server_is_used(void **state)
{
    struct ledger_world w;
    (void)state;
    start(&w, "no");
    ledger_world_open(&w, true);
    assert_int_equal(ledger_world_claimed(&w, "a", 1), LEDGER_GO);
    redis_peer_do(&w.redis, "CLIENT KILL TYPE normal SKIPME yes");
    assert_int_equal(ledger_world_finished(&w, "a", 1, LEDGER_SUCCEEDED), LEDGER_OK);
    ledger_world_deinit(&w);
}

static void test_client_certificate_is_shown(void **state)
{
    struct ledger_world w;
    (void)state;
    start(&w, "yes");
    ledger_world_open(&w, false);
    ledger_world_idle(&w, 150);
    assert_false(ledger_is_up(w.ledger));
    ledger_world_close(&w);
    w.config.tls.cert_file = client_cert->cert_file;
    w.config.tls.key_file = client_cert->key_file;
    ledger_world_open(&w, true);
    ledger_world_deinit(&w);
}

static void test_chain_of_a_stranger_is_refused(void **state)
{
    struct ledger_world w;
    (void)state;
    start(&w, "no");
    w.config.tls.ca_file = stranger->cert_file;
    ledger_world_open(&w, false);
    ledger_world_idle(&w, 150);
    assert_false(ledger_is_up(w.ledger));
    if (!strstr(w.why, "certificate verify failed"))
        fail_msg("%s", w.why);
    ledger_world_deinit(&w);
}

static void test_another_name_is_refused(void **state)
{
    static char name[] = "redis.internal";
    struct ledger_world w;
    (void)state;
    start(&w, "no");
    w.config.tls.server_name = name;
    ledger_world_open(&w, false);
    ledger_world_idle(&w, 150);
    assert_false(ledger_is_up(w.ledger));
    if (!strstr(w.why, "certificate verify failed"))
        fail_msg("%s", w.why);
    ledger_world_deinit(&w);
}

static void test_missing_file_is_told_at_once(void **state)
{
    static char missing[] = "/nonexistent/ca.pem";
    struct ledger_world w;
    struct err err = {0};
    (void)state;
    start(&w, "no");
    w.config.tls.ca_file = missing;
    assert_null(ledger_new(w.loop, &w.config, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, missing));
    ledger_world_deinit(&w);
}

static int make_certs(void **state)
{
    (void)state;
    authority = cert_new("test authority", NULL, NULL, -1, 30);
    stranger = cert_new("another authority", NULL, NULL, -1, 30);
    server_cert = cert_new("redis", "IP:127.0.0.1", authority, -1, 30);
    client_cert = cert_new("gateway", NULL, authority, -1, 30);
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    cert_free(&authority);
    cert_free(&stranger);
    cert_free(&server_cert);
    cert_free(&client_cert);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_server_is_used),
        cmocka_unit_test(test_client_certificate_is_shown),
        cmocka_unit_test(test_chain_of_a_stranger_is_refused),
        cmocka_unit_test(test_another_name_is_refused),
        cmocka_unit_test(test_missing_file_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
