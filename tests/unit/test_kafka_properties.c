/* Which Kafka properties may be configured, and how they are split by role. No broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kafka/admin.h"
#include "kafka/properties.h"

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static char *check(const char *path, const char *name, const char *value)
{
    struct property property = {.name = text(name), .value = text(value)};
    struct properties props = {&property, 1};

    return kafka_check_properties(&props, path);
}

static void assert_fine(const char *path, const char *name, const char *value)
{
    char *problems = check(path, name, value);

    if (problems != NULL)
        fail_msg("%s: %s", name, problems);
}

static void assert_problem(const char *path, const char *name, const char *value, const char *part)
{
    char *problems = check(path, name, value);

    assert_non_null(problems);
    if (strstr(problems, name) != problems || strstr(problems, part) == NULL)
        fail_msg("%s=%s: '%s' lacks '%s'", name, value, problems, part);
    mem_free(problems);
}

static void test_check_ordinary_ones_are_fine(void **state)
{
    (void)state;
    assert_fine("kafka", "bootstrap.servers", "127.0.0.1:9092");
    assert_fine("kafka", "session.timeout.ms", "6000");
    assert_fine("kafka", "linger.ms", "5");
    assert_fine("kafka", "compression.type", "lz4");
    assert_fine("kafka", "group.instance.id", "h-{route}-{worker}");
    assert_fine("kafka", "partition.assignment.strategy", "range");
    assert_fine("kafka", "group.protocol", "classic");
    assert_fine("kafka.consumer", "fetch.wait.max.ms", "50");
    assert_fine("kafka.producer", "batch.size", "1000");
}

static void test_check_own_ones_are_refused_with_the_reason(void **state)
{
    static const char *const own[] = {"enable.auto.commit", "enable.auto.offset.store",
                                      "isolation.level",    "acks",
                                      "enable.idempotence", "group.id",
                                      "auto.offset.reset",  "transactional.id",
                                      "message.timeout.ms", "allow.auto.create.topics"};

    (void)state;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        assert_problem("kafka", own[i], "1", "not configurable: ");
    assert_problem("kafka", "partition.assignment.strategy", "cooperative-sticky", "only range");
    assert_problem("kafka", "group.protocol", "consumer", "only classic");
}

static void test_check_unknown_ones_get_a_hint(void **state)
{
    (void)state;
    assert_problem("kafka", "bootstrap.server", "x", "did you mean bootstrap.servers?");
    assert_problem("kafka", "fetch.max.wait.ms", "1", "fetch.wait.max.ms");
    assert_problem("kafka", "max.poll.records", "1", "limits.records of a route");
    assert_problem("kafka", "nothing.like.it.at.all", "1", "no property of librdkafka");
}

static void test_check_wrong_role_and_values(void **state)
{
    (void)state;
    assert_problem("kafka.producer", "session.timeout.ms", "6000", "consumer only");
    assert_problem("kafka.consumer", "linger.ms", "1", "producer only");
    assert_problem("kafka", "linger.ms", "100", "every retry would be late");
    assert_problem("kafka", "session.timeout.ms", "0", "outside allowed range");
    assert_problem("kafka", "max.poll.interval.ms", "1000", "below session.timeout.ms");
    assert_problem("kafka", "heartbeat.interval.ms", "40000", "session.timeout.ms");
}

/* A secret's value never stands in a message. */
static void test_check_secret_value_is_not_told(void **state)
{
    struct property property = {
        .name = text("ssl.key.pem"), .value = text("hunter2"), .secret = true};
    struct properties props = {&property, 1};
    char *problems;

    (void)state;
    problems = kafka_check_properties(&props, "kafka");
    if (problems != NULL)
        assert_null(strstr(problems, "hunter2"));
    mem_free(problems);
}

static void test_check_all_problems_at_once(void **state)
{
    struct property items[] = {{.name = text("acks"), .value = text("1")},
                               {.name = text("bootstrap.server"), .value = text("x")}};
    struct properties props = {items, 2};
    char *problems;

    (void)state;
    problems = kafka_check_properties(&props, "kafka");
    assert_non_null(problems);
    assert_non_null(strstr(problems, "acks: "));
    assert_non_null(strstr(problems, "\nbootstrap.server: "));
    mem_free(problems);
}

static void assert_conf(rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
    char value[64] = "";
    size_t size = sizeof(value);

    assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, wanted);
}

static void test_new_splits_by_role_and_keeps_ours(void **state)
{
    struct property common[] = {{.name = text("session.timeout.ms"), .value = text("7000")},
                                {.name = text("linger.ms"), .value = text("4")},
                                {.name = text("client.id"), .value = text("mine")}};
    struct property consumer[] = {{.name = text("session.timeout.ms"), .value = text("8000")}};
    struct config config = {.kafka = {common, 3}, .kafka_consumer = {consumer, 1}};
    struct err err;
    rd_kafka_conf_t *conf;

    (void)state;
    conf = properties_new(&config, KAFKA_CONSUMER, &err);
    assert_non_null(conf);
    assert_conf(conf, "session.timeout.ms", "8000");
    assert_conf(conf, "client.id", "mine");
    assert_conf(conf, "enable.auto.commit", "false");
    assert_conf(conf, "isolation.level", "read_committed");
    assert_conf(conf, "linger.ms", "5"); /* librdkafka's own: not passed on */
    rd_kafka_conf_destroy(conf);

    conf = properties_new(&config, KAFKA_PRODUCER, &err);
    assert_non_null(conf);
    assert_conf(conf, "linger.ms", "4");
    assert_conf(conf, "enable.idempotence", "true");
    assert_conf(conf, "session.timeout.ms", "45000");
    rd_kafka_conf_destroy(conf);
}

static void test_new_refuses_what_is_ours(void **state)
{
    struct property common[] = {{.name = text("acks"), .value = text("1")}};
    struct config config = {.kafka = {common, 1}};
    struct err err;

    (void)state;
    assert_null(properties_new(&config, KAFKA_PRODUCER, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void test_roles_follow_librdkafka(void **state)
{
    (void)state;
    assert_int_equal(properties_roles("linger.ms"), KAFKA_PRODUCER);
    assert_int_equal(properties_roles("session.timeout.ms"), KAFKA_CONSUMER);
    assert_int_equal(properties_roles("bootstrap.servers"), KAFKA_CONSUMER | KAFKA_PRODUCER);
    assert_int_equal(properties_roles("compression.codec"), KAFKA_PRODUCER);
    assert_int_equal(properties_roles("Property"), 0);
    assert_int_equal(properties_roles("nonsense"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_ordinary_ones_are_fine),
        cmocka_unit_test(test_check_own_ones_are_refused_with_the_reason),
        cmocka_unit_test(test_check_unknown_ones_get_a_hint),
        cmocka_unit_test(test_check_wrong_role_and_values),
        cmocka_unit_test(test_check_secret_value_is_not_told),
        cmocka_unit_test(test_check_all_problems_at_once),
        cmocka_unit_test(test_new_splits_by_role_and_keeps_ours),
        cmocka_unit_test(test_new_refuses_what_is_ours),
        cmocka_unit_test(test_roles_follow_librdkafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
