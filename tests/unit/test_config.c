/* The configuration as the program gets it: defaults, every kind of value, what is printed of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/schema.h"

#define HEAD                                                                                       \
    "version: 1\n"                                                                                 \
    "kafka: {bootstrap.servers: \"127.0.0.1:9092\"}\n"
#define ROUTE                                                                                      \
    "routes:\n"                                                                                    \
    "  - name: orders\n"                                                                           \
    "    topics: [orders]\n"                                                                       \
    "    group: orders-app\n"                                                                      \
    "    handler: {url: \"http://127.0.0.1:9000/orders\"}\n"

/* Fails the test with the complaints, warnings too, unless they are asked for. */
static struct config *parse_with(const char *text, struct buf *complaints)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct buf told = {0};
    struct config *config = config_parse(text, strlen(text), "test", &problems, &err);

    config_problems_print(&problems, "test", complaints ? complaints : &told);
    config_problems_free(&problems);
    if (!complaints && (told.len || !config))
        fail_msg("%s\n%s", told.data ? told.data : "", err.text);
    buf_deinit(&told);
    return config;
}

static struct config *parse(const char *text)
{
    return parse_with(text, NULL);
}

static void test_parse_least_file_gives_defaults(void **state)
{
    struct config *config = parse(HEAD ROUTE);
    const struct route_config *route = &config->routes[0];

    (void)state;
    assert_string_equal(config->kafka.items[0].value, "127.0.0.1:9092");
    assert_string_equal(config->redis.host, "127.0.0.1");
    assert_int_equal(config->redis.port, 6379);
    assert_int_equal(config->redis.shards, 64);
    assert_string_equal(config->redis.ns, "og");
    assert_null(config->redis.username);
    assert_string_equal(config->admin.host, "127.0.0.1");
    assert_int_equal(config->admin.port, 9464);
    assert_int_equal(config->process_bytes, 512U << 20);
    assert_int_equal(config->route_count, 1);
    assert_int_equal(route->line, 4);
    assert_int_equal(route->ordering, ORDERING_KEY);
    assert_int_equal(route->dedup.rule.kind, IDENTITY_SEQUENCE);
    assert_int_equal(route->dedup.rule.key.from, FIELD_KAFKA_KEY);
    assert_int_equal(route->dedup.rule.number.from, FIELD_HEADER);
    assert_string_equal(route->dedup.rule.number.name, "seq");
    assert_int_equal(route->dedup.rule.epoch.from, FIELD_NONE);
    assert_int_equal(route->dedup.on_missing, POLICY_DEAD_LETTER);
    assert_int_equal(route->dedup.on_redis_down, POLICY_WAIT);
    assert_int_equal(route->handler.timeout_ms, 15000);
    assert_int_equal(route->handler.max_response_bytes, 65536);
    assert_int_equal(route->retry.tier_count, 3);
    assert_int_equal(route->retry.tiers_ms[2], 600000);
    assert_int_equal(route->parked.ghost_ttl_ms, 2 * 600000 + 3600000);
    assert_true(route->retry.inline_multiplier == 2.0);
    assert_true(route->dead_letter.pause_share == 0.5);
    assert_int_equal(route->dead_letter.on_write_failure, POLICY_BLOCK);
    assert_int_equal(route->limits.rate_per_s, 0);
    assert_int_equal(route->classify_count, 6);
    config_free(&config);
    assert_null(config);
}

static void test_parse_given_values_replace_defaults(void **state)
{
    struct config *config = parse(
        "kafka:\n"
        "  bootstrap.servers: a:1,b:2\n"
        "  enable.ssl.certificate.verification: true\n"
        "  consumer: {session.timeout.ms: 45000}\n"
        "  producer: {linger.ms: 5}\n"
        "redis: {url: \"rediss://me:p%2Fs%40@[::1]:7000/3\", allow_eviction: true}\n"
        "admin: {listen: \"[::1]:0\"}\n"
        "log: {level: debug, format: json}\n"
        "routes:\n"
        "  - name: a\n"
        "    topics: [t1, \"2\"]\n"
        "    group: g\n"
        "    ordering: none\n"
        "    dedup: {identity: version, key: \"header:k\", from: \"json:/a~1b/0\", format: "
        "rfc3339,\n"
        "            on_superseded: deliver, mode: observe, scope: route}\n"
        "    handler:\n"
        "      url: https://h/p?q=1\n"
        "      timeout: 1s\n"
        "      connect_timeout: 500ms\n"
        "      request_headers: {Authorization: {file: docs/oncegate.example.yaml}, X-A: \"b\"}\n"
        "      forward_headers: [tenant]\n"
        "      idempotency_key: bare\n"
        "      hide_key: true\n"
        "    retry: {tiers: [], inline: {multiplier: 1.5}}\n"
        "    dead_letter: {pause_above: {share: 12.5%}, detail: 0}\n");
    const struct route_config *route = &config->routes[0];

    (void)state;
    assert_string_equal(config->kafka.items[1].value, "true");
    assert_string_equal(config->kafka_consumer.items[0].name, "session.timeout.ms");
    assert_string_equal(config->kafka_producer.items[0].value, "5");
    assert_true(config->redis.tls_on && config->redis.allow_eviction);
    assert_string_equal(config->redis.host, "::1");
    assert_string_equal(config->redis.username, "me");
    assert_string_equal(config->redis.password, "p/s@");
    assert_int_equal(config->redis.db, 3);
    assert_string_equal(config->admin.host, "::1");
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_string_equal(route->topics[1], "2");
    assert_true(route->dedup.rule.rfc3339);
    assert_string_equal(route->dedup.rule.number.name, "/a~1b/0");
    assert_int_equal(route->dedup.mode, DEDUP_OBSERVE);
    assert_int_equal(route->dedup.scope, SCOPE_ROUTE);
    assert_null(route->handler.request_headers[0].value);
    assert_string_equal(route->handler.request_headers[0].file, "docs/oncegate.example.yaml");
    assert_string_equal(route->handler.request_headers[1].value, "b");
    assert_true(route->handler.idempotency_key_bare && route->handler.hide_key);
    assert_int_equal(route->retry.tier_count, 0);
    assert_true(route->retry.inline_multiplier == 1.5);
    assert_true(route->dead_letter.pause_share == 0.125);
    assert_int_equal(route->dead_letter.detail_bytes, 0);
    config_free(&config);
}

static void test_parse_ordering_partition_has_no_tiers(void **state)
{
    struct config *config = parse(HEAD ROUTE "    ordering: partition\n");

    (void)state;
    assert_int_equal(config->routes[0].retry.tier_count, 0);
    config_free(&config);
}

static void test_parse_variables_pass_the_same_checks(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_WORKERS", "3", 1);
    setenv("CONFIG_TEST_EMPTY", "", 1);
    unsetenv("CONFIG_TEST_UNSET");
    struct config *config = parse(HEAD "workers: ${CONFIG_TEST_WORKERS}\n"
                                       "redis:\n"
                                       "  shards: \"${CONFIG_TEST_WORKERS}2\"\n"
                                       "  url: \"redis://${CONFIG_TEST_UNSET:-h}:6379/0\"\n"
                                       "  username: ${CONFIG_TEST_EMPTY:-me}\n"
                                       "  password: \"a$$b$c\"\n" ROUTE);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->redis.shards, 32);
    assert_string_equal(config->redis.host, "h");
    assert_string_equal(config->redis.username, "me");
    assert_string_equal(config->redis.password, "a$b$c");
    config_free(&config);
}

/* A variable's value is never read as YAML: it cannot add keys, and `~` in it is no null. */
static void test_parse_variable_cannot_change_structure(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_YAML", "~", 1);
    struct config *config = parse(HEAD "redis: {username: \"${CONFIG_TEST_YAML}\"}\n" ROUTE);
    assert_string_equal(config->redis.username, "~");
    config_free(&config);
}

static void test_parse_secret_files_are_read_and_never_shown(void **state)
{
    char path[] = "/tmp/oncegate-test-secret-XXXXXX";
    int fd = mkstemp(path);
    struct buf text = {0};
    struct buf shown = {0};

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hunter2\n", 8), 8);
    close(fd);
    buf_printf(
        &text,
        "kafka: {bootstrap.servers: \"h:1\", sasl.password_file: %s, ssl.key.password: hunter2}\n"
        "redis: {url: \"redis://h\", password_file: %s}\n" ROUTE
        "    retry: {topic: \"$$again.{group}.{topic}.{delay}\"}\n",
        path, path);
    struct buf told = {0};
    struct config *refused = parse_with(text.data, &told);
    assert_null(refused); /* a '$' is not legal in a topic */
    buf_deinit(&told);
    char *cut = strstr(text.data, "    retry:");
    *cut = '\0';
    struct config *config = parse(text.data);
    assert_string_equal(config->redis.password, "hunter2");
    assert_string_equal(config->kafka.items[1].name, "sasl.password");
    assert_string_equal(config->kafka.items[1].value, "hunter2");
    assert_true(config->kafka.items[1].secret);
    assert_true(config->kafka.items[2].secret);
    config_show(config, &shown);
    assert_null(strstr(shown.data, "hunter2"));
    assert_non_null(strstr(shown.data, "sasl.password: \"***\""));
    config_free(&config);
    buf_deinit(&text);
    buf_deinit(&shown);
    unlink(path);
}

static void test_load_example_is_accepted_without_warning(void **state)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct config *config = config_load("docs/oncegate.example.yaml", &problems, &err);

    (void)state;
    assert_non_null(config);
    assert_int_equal(problems.count, 0);
    assert_int_equal(config->route_count, 3);
    assert_ptr_equal(config_find_route(config, "prices"), &config->routes[1]);
    assert_null(config_find_route(config, "nothing"));
    config_free(&config);
}

static void test_load_missing_file_is_no_file(void **state)
{
    struct config_problems problems = {0};
    struct err err = {0};

    (void)state;
    assert_null(config_load("/nonexistent/oncegate.yaml", &problems, &err));
    assert_int_equal(err.code, ERR_NO_FILE);
    assert_int_equal(problems.count, 0);
    assert_null(config_load("/", &problems, &err));
    assert_int_equal(err.code, ERR_NO_FILE);
    config_problems_free(&problems);
}

/* What is shown is a configuration with the same meaning. */
static void test_show_is_read_back_the_same(void **state)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct config *config = config_load("docs/oncegate.example.yaml", &problems, &err);
    struct buf first = {0}, second = {0}, told = {0};

    (void)state;
    assert_non_null(config);
    config_show(config, &first);
    config_free(&config);
    config = parse_with(first.data, &told);
    if (!config)
        fail_msg("%s", told.data);
    config_show(config, &second);
    assert_string_equal(first.data, second.data);
    config_free(&config);
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&told);
}

static void test_show_of_redis_urls_is_read_back_the_same(void **state)
{
    static const char *const urls[] = {"rediss://[::1]:6380/3", "unix:///run/a%20b.sock?db=3",
                                       "rediss+sentinel://a:26379,[::1]:1/my.master-1?db=3",
                                       "redis+cluster://a:6379,b:7001", NULL};
    (void)state;
    for (const char *const *url = urls; *url; url++) {
        char text[400];
        struct buf shown = {0};
        snprintf(text, sizeof(text), HEAD "redis: {url: \"%s\"}\n" ROUTE, *url);
        struct config *config = parse(text);
        config_show(config, &shown);
        if (!strstr(shown.data, *url))
            fail_msg("%s is not shown", *url);
        config_free(&config);
        buf_deinit(&shown);
    }
}

static void test_redis_sentinel_url_says_all(void **state)
{
    struct config *config = parse(HEAD "redis:\n"
                                       "  url: rediss+sentinel://me:pw@a,b:1,[::1]:2/m?db=3\n"
                                       "  sentinel: {username: watcher, password: hush}\n" ROUTE);
    const struct redis_config *redis = &config->redis;
    (void)state;
    assert_int_equal(redis->kind, REDIS_SENTINEL);
    assert_true(redis->tls_on);
    assert_int_equal(redis->place_count, 3);
    assert_string_equal(redis->places[0].host, "a");
    assert_int_equal(redis->places[0].port, 26379);
    assert_string_equal(redis->places[2].host, "::1");
    assert_int_equal(redis->places[2].port, 2);
    assert_string_equal(redis->master, "m");
    assert_int_equal(redis->db, 3);
    assert_string_equal(redis->username, "me");
    assert_string_equal(redis->password, "pw");
    assert_string_equal(redis->sentinel_username, "watcher");
    assert_string_equal(redis->sentinel_password, "hush");
    config_free(&config);
}

static void test_show_text_that_needs_care_is_read_back(void **state)
{
    struct config *config = parse(
        "kafka:\n"
        "  bootstrap.servers: h:1\n"
        "  client.id: \"true\"\n"
        "  a: \"x: y # z $${A} \\\" \\\\ \\u0007 \\u0085 \\uFEFF \\u00e9\"\n"
        "  \"b: c\": \"\"\n"
        "redis: {password: \"1\"}\n"
        "routes:\n"
        "  - name: \"1\"\n"
        "    topics: [\"2\", \"null\"]\n"
        "    group: \"3.5\"\n"
        "    handler: {url: \"http://h\"}\n"
        "    dedup: {from: \"header:x: y\"}\n");
    struct buf shown = {0}, told = {0};

    (void)state;
    config_show(config, &shown);
    struct config *again = parse_with(shown.data, &told);
    if (!again)
        fail_msg("%s", told.data);
    buf_deinit(&told);
    assert_int_equal(again->kafka.count, config->kafka.count);
    for (size_t i = 0; i < config->kafka.count; i++) {
        assert_string_equal(again->kafka.items[i].name, config->kafka.items[i].name);
        assert_string_equal(again->kafka.items[i].value, config->kafka.items[i].value);
    }
    assert_string_equal(again->routes[0].group, "3.5");
    assert_string_equal(again->routes[0].topics[1], "null");
    assert_string_equal(again->routes[0].dedup.rule.number.name, "x: y");
    buf_deinit(&shown);
    config_free(&config);
    config_free(&again);
}

static void test_topic_names_follow_the_templates(void **state)
{
    struct config *config = parse(HEAD ROUTE "    retry: {topic: \"{delay}-{topic}.{group}\"}\n");
    char *tier = config_tier_topic(&config->routes[0], "orders", 60000);
    char *redrive = config_redrive_topic(&config->routes[0], "orders");
    char *dlq = config_dlq_topic(&config->routes[0], "orders");
    char *states = config_dlq_state_topic(&config->routes[0]);
    char *jobs = config_dlq_jobs_topic(&config->routes[0]);
    char *audit = config_audit_topic(&config->routes[0]);

    (void)state;
    assert_string_equal(tier, "1m-orders.orders-app");
    assert_string_equal(states, "dlq-state.orders-app");
    assert_string_equal(jobs, "dlq-jobs.orders-app");
    assert_string_equal(audit, "audit.orders-app");
    assert_string_equal(redrive, "redrive-orders.orders-app");
    assert_string_equal(dlq, "dlq.orders-app.orders");
    mem_free(tier);
    mem_free(redrive);
    mem_free(dlq);
    mem_free(states);
    mem_free(jobs);
    mem_free(audit);
    config_free(&config);
}

/* 60s and 1m are one tier: its topic has one name. */
static void test_tier_topic_is_canonical(void **state)
{
    struct config *config = parse(HEAD ROUTE "    retry: {tiers: [60s, 90s]}\n");
    char *first = config_tier_topic(&config->routes[0], "orders",
                                    config->routes[0].retry.tiers_ms[0]);
    char *second = config_tier_topic(&config->routes[0], "orders",
                                     config->routes[0].retry.tiers_ms[1]);

    (void)state;
    assert_string_equal(first, "retry.orders-app.orders.1m");
    assert_string_equal(second, "retry.orders-app.orders.90s");
    mem_free(first);
    mem_free(second);
    config_free(&config);
}

static bool has_status(const struct classify_rule *rule, unsigned status)
{
    return (rule->statuses[(status - 100) / 64] >> ((status - 100) % 64)) & 1;
}

static void test_classify_rules_are_read_in_order(void **state)
{
    struct config *config = parse(HEAD ROUTE
                                  "    classify:\n"
                                  "      - {status: 2xx, outcome: success}\n"
                                  "      - {status: [404, 5xx], outcome: retry, breaker: true}\n"
                                  "      - {error: [connect, dns], outcome: pause}\n"
                                  "      - {error: any, outcome: retry}\n"
                                  "      - {status: [3xx, 4xx], outcome: drop}\n");
    const struct classify_rule *rules = config->routes[0].classify;

    (void)state;
    assert_int_equal(config->routes[0].classify_count, 5);
    assert_true(has_status(&rules[0], 200) && has_status(&rules[0], 299));
    assert_false(has_status(&rules[0], 300) || has_status(&rules[0], 199));
    assert_true(has_status(&rules[1], 404) && has_status(&rules[1], 599) && rules[1].breaker);
    assert_false(has_status(&rules[1], 405));
    assert_int_equal(rules[1].errors, 0);
    assert_int_equal(rules[2].errors, HANDLER_CONNECT | HANDLER_DNS);
    assert_int_equal(rules[2].outcome, OUTCOME_PAUSE);
    assert_int_equal(rules[3].errors, HANDLER_ANY_ERROR);
    assert_false(rules[3].breaker);
    config_free(&config);
}

static void test_show_classify_names_what_no_rule_matches(void **state)
{
    struct buf told = {0}, table = {0};
    struct config *config = parse_with(
        HEAD ROUTE "    classify: [{status: [2xx, 3xx, 400, 402], outcome: success}]\n", &told);

    (void)state;
    assert_non_null(config);
    assert_non_null(strstr(told.data, "no rule matches 401, 403-499, 5xx, error: any"));
    config_show_classify(&config->routes[0], &table);
    assert_non_null(strstr(table.data, "2xx, 3xx, 400, 402"));
    assert_non_null(strstr(table.data, "1xx, 401, 403-499, 5xx, error: any"));
    buf_deinit(&told);
    buf_deinit(&table);
    config_free(&config);
}

static void test_names_of_outcomes_and_errors(void **state)
{
    (void)state;
    assert_string_equal(outcome_name(OUTCOME_DEAD_LETTER), "dead-letter");
    assert_string_equal(handler_error_name(HANDLER_TIMEOUT), "timeout");
    assert_string_equal(handler_error_name(HANDLER_OK), "ok");
}

static void test_explain_finds_keys_by_any_path(void **state)
{
    static const char *const paths[] = {"routes[].handler.timeout", "routes[3].handler.timeout",
                                        "routes.handler.timeout", "handler.timeout"};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct buf out = {0};
        assert_true(config_explain(paths[i], &out, &err));
        assert_non_null(strstr(out.data, "routes[].handler.timeout"));
        assert_non_null(strstr(out.data, "15s"));
        buf_deinit(&out);
    }
}

static void test_spool_is_used_where_it_is_configured(void **state)
{
    struct config *config = parse(HEAD "spool: {dir: /var/lib/og}\n" ROUTE);

    (void)state;
    assert_string_equal(config->spool_dir, "/var/lib/og");
    assert_int_equal(config->spool_max_bytes, 256U << 20);
    assert_int_equal(config->spool_after_ms, 60000);
    assert_int_equal(config->routes[0].dead_letter.on_write_failure, POLICY_SPOOL);
    config_free(&config);
    config = parse(HEAD "spool: {dir: /var/lib/og}\n" ROUTE
                        "    dead_letter: {on_write_failure: block}\n");
    assert_int_equal(config->routes[0].dead_letter.on_write_failure, POLICY_BLOCK);
    config_free(&config);
}

static void test_explain_unknown_key_gives_a_hint(void **state)
{
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    assert_false(config_explain("routes.handler.timeuot", &out, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "did you mean routes[].handler.timeout?"));
    assert_false(config_explain("", &out, &err));
    assert_false(config_explain("[[[]]..", &out, &err));
    assert_true(config_explain("kafka.acks", &out, &err));
    assert_non_null(strstr(out.data, "refused"));
    buf_deinit(&out);
}

/* Every row can be explained, has words, and a default that its own type takes. */
static void test_every_row_is_explained(void **state)
{
    (void)state;
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        struct buf out = {0};
        struct err err = {0};
        assert_non_null(key->doc);
        assert_true(config_explain(key->path, &out, &err));
        assert_non_null(strstr(out.data, key->doc));
        if (key->type != TYPE_SECTION && !key->required && !key->preset && !key->unset)
            fail_msg("%s: neither a default nor what its absence means", key->path);
        buf_deinit(&out);
    }
}

static void test_schema_is_json_with_every_key(void **state)
{
    struct buf out = {0};

    (void)state;
    config_schema(&out);
    struct json_object *root = json_tokener_parse(out.data);
    assert_non_null(root);
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        char quoted[64];
        snprintf(quoted, sizeof(quoted), "\"%s\":", schema_name(key));
        if (!key->later && !strstr(out.data, quoted))
            fail_msg("%s is missing from the JSON Schema", key->path);
    }
    assert_null(strstr(out.data, "\"rate\""));
    json_object_put(root);
    buf_deinit(&out);
}

/* docs/configuration.md is made by `oncegate config reference`; ONCEGATE_WRITE_EXPECTED writes it
 * anew. */
static void test_reference_page_is_current(void **state)
{
    struct buf out = {0}, page = {0};
    char chunk[4096];
    size_t n;

    (void)state;
    config_reference(&out);
    bool write = getenv("ONCEGATE_WRITE_EXPECTED") != NULL;
    FILE *file = fopen("docs/configuration.md", write ? "wb" : "rb");
    assert_non_null(file);
    if (write)
        fwrite(out.data, 1, out.len, file);
    while (!write && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&page, chunk, n);
    fclose(file);
    if (!write && (!page.data || strcmp(out.data, page.data) != 0))
        fail_msg("docs/configuration.md is old: oncegate config reference > docs/configuration.md");
    buf_deinit(&out);
    buf_deinit(&page);
}

static void expect_refused(const char *text, size_t len, const char *why)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct buf told = {0};

    assert_null(config_parse(text, len, "test", &problems, &err));
    config_problems_print(&problems, "test", &told);
    if (!strstr(told.data, why))
        fail_msg("%s is not told, but: %s", why, told.data);
    config_problems_free(&problems);
    buf_deinit(&told);
}

static void test_parse_hostile_sizes_are_bounded(void **state)
{
    struct buf text = {0};

    (void)state;
    for (size_t i = 0; i < (1 << 20) / 8; i++)
        buf_add_text(&text, "[[[[[[[[");
    expect_refused(text.data, text.len, "nested deeper");
    buf_add_text(&text, "[");
    expect_refused(text.data, text.len, "larger than");

    buf_reset(&text);
    for (size_t i = 0; i < 50000; i++)
        buf_printf(&text, "key%zu: 1\n", i);
    expect_refused(text.data, text.len, "more than 1000 entries");

    buf_reset(&text);
    setenv("CONFIG_TEST_BIG", "0123456789012345678901234567890123456789", 1);
    buf_add_text(&text, "kafka:\n");
    for (size_t i = 0; i < 900; i++) {
        buf_printf(&text, "  k%zu: \"", i);
        for (size_t j = 0; j < 50; j++)
            buf_add_text(&text, "${CONFIG_TEST_BIG}");
        buf_add_text(&text, "\"\n");
    }
    expect_refused(text.data, text.len, "too long once its variables are replaced");
    buf_deinit(&text);
}

static bool accepts(const char *before, const char *value)
{
    struct buf told = {0};
    char *text = mem_printf("%s%s%s%s", HEAD, before, value, "\"\n");
    char *whole = mem_printf("%s%s", text, strstr(before, "routes:") ? "" : ROUTE);
    struct config *config = parse_with(whole, &told);
    bool accepted = config != NULL;

    config_free(&config);
    buf_deinit(&told);
    mem_free(text);
    mem_free(whole);
    return accepted;
}

static void expect_all(const char *before, const char *const *values, bool accepted)
{
    for (; *values; values++)
        if (accepts(before, *values) != accepted)
            fail_msg("%s was %s", *values, accepted ? "refused" : "accepted");
}

static void test_redis_urls(void **state)
{
    static const char *const good[] = {"redis://h",
                                       "redis://h/",
                                       "redis://h:1/15",
                                       "redis://:pw@h",
                                       "redis://me@h",
                                       "rediss://h:6380",
                                       "redis://[::1]:6379/0",
                                       "unix:///run/redis.sock",
                                       "unix:///run/a%20b.sock?db=3",
                                       "redis+sentinel://h/m",
                                       "redis+sentinel://a,b:1,[::1]:2/my.master-1?db=3",
                                       "rediss+sentinel://me:pw@a/m",
                                       "redis+cluster://a,b:7001,[::1]:7002",
                                       "redis+cluster://me:pw@a/0",
                                       "rediss+cluster://a/",
                                       NULL};
    static const char *const bad[] = {"redis://",
                                      "redis:///0",
                                      "redis://h:0",
                                      "redis://h:65536",
                                      "redis://h/x",
                                      "redis://h/70000",
                                      "redis://h?db=1",
                                      "redis://h#1",
                                      "redis://[::1",
                                      "redis://[::1]x",
                                      "redis://a:%zz@h",
                                      "redis://a:%0@h",
                                      "redis://a:%00@h",
                                      "redis://a b",
                                      "unix://run/redis.sock",
                                      "unix:///a?x=1",
                                      "unix:///a?db=",
                                      "unix:///%00",
                                      "http://h",
                                      "h:6379",
                                      "redis+sentinel://h",
                                      "redis+sentinel://h/",
                                      "redis+sentinel://h,/m",
                                      "redis+sentinel://,h/m",
                                      "redis+sentinel://h:0/m",
                                      "redis+sentinel://h/m m",
                                      "redis+sentinel://h/m/1",
                                      "redis+sentinel://h/m?db=",
                                      "redis+sentinel://h/m?x=1",
                                      "redis+sentinel://h/m#1",
                                      "redis+sentinel:///m",
                                      "redis+cluster://",
                                      "redis+cluster://a/1",
                                      "redis+cluster://a?db=0",
                                      "redis+cluster://a,",
                                      NULL};

    (void)state;
    expect_all("redis:\n  url: \"", good, true);
    expect_all("redis:\n  url: \"", bad, false);
}

static void test_handler_urls(void **state)
{
    static const char *const good[] = {
        "http://h",       "http://h:80/a?b=c", "https://h.example.com/",
        "http://[::1]:1", "http://h?x",        NULL};
    static const char *const bad[] = {"",           "h",
                                      "ftp://h",    "http://",
                                      "http://:80", "http://h:0",
                                      "http://h:x", "http://h:",
                                      "http://a@h", "http://h/#top",
                                      "http://h/ä", "http://h/a b",
                                      "http://[::", "http://[x]/",
                                      "HTTP://h",   NULL};

    (void)state;
    expect_all("routes:\n  - name: a\n    topics: [a]\n    group: a\n    handler:\n      url: \"",
               good, true);
    expect_all("routes:\n  - name: a\n    topics: [a]\n    group: a\n    handler:\n      url: \"",
               bad, false);
}

static void test_config_file_is_chosen_by_precedence(void **state)
{
    (void)state;
    unsetenv("ONCEGATE_CONFIG");
    assert_string_equal(config_file(NULL), "oncegate.yaml");
    setenv("ONCEGATE_CONFIG", "/etc/oncegate.yaml", 1);
    assert_string_equal(config_file(NULL), "/etc/oncegate.yaml");
    assert_string_equal(config_file("mine.yaml"), "mine.yaml");
    unsetenv("ONCEGATE_CONFIG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_least_file_gives_defaults),
        cmocka_unit_test(test_parse_given_values_replace_defaults),
        cmocka_unit_test(test_parse_ordering_partition_has_no_tiers),
        cmocka_unit_test(test_parse_variables_pass_the_same_checks),
        cmocka_unit_test(test_parse_variable_cannot_change_structure),
        cmocka_unit_test(test_parse_secret_files_are_read_and_never_shown),
        cmocka_unit_test(test_load_example_is_accepted_without_warning),
        cmocka_unit_test(test_load_missing_file_is_no_file),
        cmocka_unit_test(test_show_is_read_back_the_same),
        cmocka_unit_test(test_show_text_that_needs_care_is_read_back),
        cmocka_unit_test(test_topic_names_follow_the_templates),
        cmocka_unit_test(test_tier_topic_is_canonical),
        cmocka_unit_test(test_classify_rules_are_read_in_order),
        cmocka_unit_test(test_show_classify_names_what_no_rule_matches),
        cmocka_unit_test(test_names_of_outcomes_and_errors),
        cmocka_unit_test(test_explain_finds_keys_by_any_path),
        cmocka_unit_test(test_spool_is_used_where_it_is_configured),
        cmocka_unit_test(test_explain_unknown_key_gives_a_hint),
        cmocka_unit_test(test_every_row_is_explained),
        cmocka_unit_test(test_schema_is_json_with_every_key),
        cmocka_unit_test(test_reference_page_is_current),
        cmocka_unit_test(test_parse_hostile_sizes_are_bounded),
        cmocka_unit_test(test_redis_urls),
        cmocka_unit_test(test_redis_sentinel_url_says_all),
        cmocka_unit_test(test_show_of_redis_urls_is_read_back_the_same),
        cmocka_unit_test(test_handler_urls),
        cmocka_unit_test(test_config_file_is_chosen_by_precedence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
