/* The default classify table, row by row, and what the handler may override. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "handler/classify.h"

static const char yaml[] = "version: 1\n"
                           "kafka: {bootstrap.servers: 127.0.0.1:9092}\n"
                           "redis: {url: redis://127.0.0.1:6379/0}\n"
                           "routes:\n"
                           "  - name: orders\n"
                           "    topics: [orders]\n"
                           "    group: orders-app\n"
                           "    handler: {url: http://127.0.0.1:9000/orders}\n"
                           "    dedup: {from: header:seq}\n";

static struct config *config;
static const struct route_config *route;

static int load(void **state)
{
    struct config_problems problems = {0};
    struct err err = {0};
    (void)state;

    config = config_parse(yaml, sizeof(yaml) - 1, "test.yaml", &problems, &err);
    for (size_t i = 0; i < problems.count; i++)
        print_message("%s: %s\n", problems.items[i].path, problems.items[i].text);
    config_problems_free(&problems);
    if (!config) {
        print_message("%s\n", err.text);
        return -1;
    }
    route = &config->routes[0];
    return 0;
}

static int unload(void **state)
{
    (void)state;
    config_free(&config);
    return 0;
}

static struct handler_answer answer_of(int status)
{
    return (struct handler_answer){.status = status, .request_sent = true, .retry_after_ms = -1};
}

static struct handler_answer error_of(enum handler_error error, bool sent)
{
    return (struct handler_answer){.error = error, .request_sent = sent, .retry_after_ms = -1};
}

static struct verdict classify(struct handler_answer answer)
{
    struct verdict verdict;

    memset(&verdict, 0xa5, sizeof(verdict));
    classify_answer(route, &answer, &verdict);
    return verdict;
}

struct row {
    int from, to;
    enum outcome outcome;
    bool breaker;
};

/* What the default table must say of every status; the first row that fits holds. */
static const struct row rows[] = {
    {200, 299, OUTCOME_SUCCESS, false},     {300, 399, OUTCOME_RETRY, true},
    {401, 401, OUTCOME_RETRY, true},        {403, 405, OUTCOME_RETRY, true},
    {408, 409, OUTCOME_RETRY, false},       {425, 425, OUTCOME_RETRY, false},
    {429, 429, OUTCOME_RETRY, false},       {500, 599, OUTCOME_RETRY, true},
    {400, 499, OUTCOME_DEAD_LETTER, false},
};

static void test_classify_default_table_every_status(void **state)
{
    (void)state;
    for (int status = 200; status <= 599; status++) {
        const struct row *row = rows;
        while (status < row->from || status > row->to)
            row++;
        struct verdict verdict = classify(answer_of(status));
        char code[16];
        snprintf(code, sizeof(code), "http-%d", status);
        if (verdict.outcome != row->outcome || verdict.breaker != row->breaker)
            print_message("status %d\n", status);
        assert_int_equal(verdict.outcome, row->outcome);
        assert_int_equal(verdict.breaker, row->breaker);
        assert_true(verdict.spends_attempt);
        assert_false(verdict.ambiguous);
        assert_int_equal(verdict.retry_after_ms, -1);
        assert_string_equal(verdict.code, code);
    }
}

static void test_classify_every_error_retries_with_breaker(void **state)
{
    static const struct {
        enum handler_error error;
        const char *code;
    } errors[] = {
        {HANDLER_CONNECT, "connect"}, {HANDLER_DNS, "dns"},     {HANDLER_TLS, "tls"},
        {HANDLER_TIMEOUT, "timeout"}, {HANDLER_RESET, "reset"}, {HANDLER_PROTOCOL, "protocol"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        for (int sent = 0; sent < 2; sent++) {
            struct verdict verdict = classify(error_of(errors[i].error, sent));
            assert_int_equal(verdict.outcome, OUTCOME_RETRY);
            assert_true(verdict.breaker);
            assert_true(verdict.spends_attempt);
            assert_int_equal(verdict.ambiguous, sent);
            assert_string_equal(verdict.code, errors[i].code);
        }
    }
}

static void test_classify_error_goes_before_status(void **state)
{
    struct handler_answer answer = error_of(HANDLER_RESET, true);
    (void)state;

    answer.status = 200; /* half an answer is none */
    assert_int_equal(classify(answer).outcome, OUTCOME_RETRY);
    assert_true(classify(answer).ambiguous);
    assert_string_equal(classify(answer).code, "reset");
}

static void test_classify_busy_with_retry_after_spends_nothing(void **state)
{
    static const int statuses[] = {429, 503};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct handler_answer answer = answer_of(statuses[i]);
        answer.retry_after_ms = 7000;
        struct verdict verdict = classify(answer);
        assert_int_equal(verdict.outcome, OUTCOME_RETRY);
        assert_false(verdict.spends_attempt);
        assert_false(verdict.breaker);
        assert_int_equal(verdict.retry_after_ms, 7000);
    }
}

static void test_classify_retry_after_is_capped(void **state)
{
    struct handler_answer answer = answer_of(503);
    (void)state;

    answer.retry_after_ms = 365 * INT64_C(86400000);
    assert_int_equal(classify(answer).retry_after_ms, route->retry.retry_after_max_ms);
}

static void test_classify_retry_after_elsewhere_spends_an_attempt(void **state)
{
    struct handler_answer answer = answer_of(500);
    (void)state;

    answer.retry_after_ms = 1000;
    assert_true(classify(answer).spends_attempt);
    assert_true(classify(answer).breaker);
    assert_int_equal(classify(answer).retry_after_ms, 1000);
    answer.status = 200;
    assert_int_equal(classify(answer).retry_after_ms, -1);
    answer.status = 400;
    assert_int_equal(classify(answer).retry_after_ms, -1);
}

static void test_classify_outcome_of_the_handler_goes_first(void **state)
{
    static const enum outcome outcomes[] = {OUTCOME_SUCCESS, OUTCOME_RETRY, OUTCOME_DEAD_LETTER,
                                            OUTCOME_DROP, OUTCOME_PAUSE};
    static const int statuses[] = {200, 302, 404, 409, 422, 500};
    (void)state;

    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++) {
            struct handler_answer answer = answer_of(statuses[k]);
            bool table_breaker = classify(answer).breaker;
            answer.has_outcome = true;
            answer.outcome = outcomes[i];
            struct verdict verdict = classify(answer);
            assert_int_equal(verdict.outcome, outcomes[i]);
            assert_int_equal(verdict.breaker, outcomes[i] == OUTCOME_RETRY && table_breaker);
            assert_int_equal(verdict.spends_attempt, outcomes[i] != OUTCOME_PAUSE);
        }
    }
}

static void test_classify_outcome_is_not_read_from_a_broken_answer(void **state)
{
    struct handler_answer answer = error_of(HANDLER_PROTOCOL, true);
    (void)state;

    answer.status = 200;
    answer.has_outcome = true;
    answer.outcome = OUTCOME_SUCCESS;
    assert_int_equal(classify(answer).outcome, OUTCOME_RETRY);
}

static void test_classify_code_of_the_handler_goes_first(void **state)
{
    struct handler_answer answer = answer_of(422);
    (void)state;

    memcpy(answer.code, "card-declined", sizeof("card-declined"));
    assert_string_equal(classify(answer).code, "card-declined");
}

static void test_classify_first_match_wins_and_a_hole_retries(void **state)
{
    struct classify_rule rules[2] = {
        {.outcome = OUTCOME_DROP},
        {.outcome = OUTCOME_DEAD_LETTER},
    };
    struct route_config own = *route;
    struct verdict verdict;
    struct handler_answer answer = answer_of(410);
    (void)state;

    rules[0].statuses[(410 - 100) / 64] = UINT64_C(1) << ((410 - 100) % 64);
    memset(rules[1].statuses, 0xff, sizeof(rules[1].statuses));
    own.classify = rules;
    own.classify_count = 2;
    classify_answer(&own, &answer, &verdict);
    assert_int_equal(verdict.outcome, OUTCOME_DROP);
    answer.status = 411;
    classify_answer(&own, &answer, &verdict);
    assert_int_equal(verdict.outcome, OUTCOME_DEAD_LETTER);
    own.classify_count = 1;
    classify_answer(&own, &answer, &verdict);
    assert_int_equal(verdict.outcome, OUTCOME_RETRY);
    assert_false(verdict.breaker);
    answer = error_of(HANDLER_DNS, false);
    classify_answer(&own, &answer, &verdict);
    assert_int_equal(verdict.outcome, OUTCOME_RETRY);
}

static void test_classify_cancelled_spends_nothing(void **state)
{
    struct handler_answer answer = error_of(HANDLER_RESET, true);
    (void)state;

    answer.cancelled = true;
    struct verdict verdict = classify(answer);
    assert_int_equal(verdict.outcome, OUTCOME_RETRY);
    assert_false(verdict.spends_attempt);
    assert_false(verdict.breaker);
    assert_true(verdict.ambiguous);
    assert_string_equal(verdict.code, "cancelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify_default_table_every_status),
        cmocka_unit_test(test_classify_every_error_retries_with_breaker),
        cmocka_unit_test(test_classify_error_goes_before_status),
        cmocka_unit_test(test_classify_busy_with_retry_after_spends_nothing),
        cmocka_unit_test(test_classify_retry_after_is_capped),
        cmocka_unit_test(test_classify_retry_after_elsewhere_spends_an_attempt),
        cmocka_unit_test(test_classify_outcome_of_the_handler_goes_first),
        cmocka_unit_test(test_classify_outcome_is_not_read_from_a_broken_answer),
        cmocka_unit_test(test_classify_code_of_the_handler_goes_first),
        cmocka_unit_test(test_classify_first_match_wins_and_a_hole_retries),
        cmocka_unit_test(test_classify_cancelled_spends_nothing),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
