/*
 * What a request takes of the deliveries that are ready, what it leaves for the next one, and what
 * becomes of each by the answer. The ledger and the client are played here: what batch.c asks of
 * the files beside it is noted, for each delivery by its number, which is its record's offset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "flow/attempt.h"
#include "flow/batch.h"
#include "flow/claim.h"
#include "flow/route_state.h"
#include "flow/settle.h"

#define DELIVERIES   12
#define REQUESTS_MAX 2

static const char yaml[] =
    "version: 1\n"
    "kafka: {bootstrap.servers: 127.0.0.1:9092}\n"
    "redis: {url: redis://127.0.0.1:6379/0}\n"
    "routes:\n"
    "  - name: orders\n"
    "    topics: [orders]\n"
    "    group: app\n"
    "    handler: {url: http://127.0.0.1:9000/batch, batch: {max_records: 3}}\n"
    "    dedup: {from: header:seq}\n";

/* What was asked for a delivery, and how it is to be answered. */
struct fate {
    bool unwanted, uncovered, held;
    unsigned described, begun, claimed, dropped, ended, told_breaker;
    void (*released_to)(struct delivery *d);
    enum outcome outcome;
    char code[ANSWER_CODE_MAX];
    bool ended_alone; /* how it is to go from then on */
};

static struct config *config;
static struct loop *loop;
static struct metrics *metrics;
static struct route route;
static struct delivery deliveries[DELIVERIES];
static struct fate fates[DELIVERIES];

/* The requests, as they were sent: their memory is used again. */
static struct {
    struct handler_call *call;
    char offsets[200], ids[1000], attempts[200]; /* of their records, with blanks between them */
    char signed_id[100];
    size_t body_len;
    bool answered;
} sent[DELIVERIES];
static size_t sent_count;

static bool cancelled;
static struct lane_table *lanes;

static struct fate *fate_of(const struct delivery *d)
{
    return &fates[d->origin.offset];
}

/* ---- the files beside it ---- */

bool attempt_is_covered(const struct delivery *d, uint64_t now_ns)
{
    (void)now_ns;
    return !fate_of(d)->uncovered;
}

void attempt_describe(const struct delivery *d, int64_t deadline_wall_ms,
                      struct request_facts *facts)
{
    fate_of(d)->described++;
    *facts = (struct request_facts){.rec = &d->rec,
                                    .origin = &d->origin,
                                    .identity = &d->identity,
                                    .attempt = d->attempt + 1,
                                    .deadline_wall_ms = deadline_wall_ms};
}

void attempt_begin(struct delivery *d)
{
    fate_of(d)->begun++;
    step_begin(d, DELIVERY_HANDLING);
    d->attempt++;
}

bool attempt_is_lonely_probe(const struct delivery *d)
{
    (void)d;
    return false;
}

void attempt_tell_breaker(struct delivery *d, const struct verdict *verdict)
{
    (void)verdict;
    fate_of(d)->told_breaker++;
}

void attempt_ended(struct delivery *d, const struct attempt_end *end)
{
    struct fate *fate = fate_of(d);
    fate->ended++;
    fate->outcome = end->verdict->outcome;
    memcpy(fate->code, end->verdict->code, sizeof(fate->code));
    fate->ended_alone = d->alone;
    if (d->lane) {
        d->lane->current = NULL;
        lane_done(lanes, d->lane);
    }
}

void claim_start(struct delivery *d)
{
    fate_of(d)->claimed++;
}

bool claim_may_deliver(const struct delivery *d)
{
    return !fate_of(d)->held;
}

void step_begin(struct delivery *d, enum delivery_state state)
{
    d->state = state;
}

void delivery_put_back(struct delivery *d)
{
    (void)d;
}

void delivery_drop(struct delivery *d)
{
    fate_of(d)->dropped++;
}

void delivery_release(struct delivery *d, void (*next)(struct delivery *d))
{
    fate_of(d)->released_to = next;
}

bool delivery_unwanted(const struct delivery *d)
{
    return fate_of(d)->unwanted;
}

/* What stands behind this in the request, up to the end of the value. */
static void list(struct slice body, const char *mark, char *out, size_t size)
{
    size_t mark_len = strlen(mark), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i + mark_len < body.len; i++) {
        const char *value = body.data + i + mark_len;
        if (memcmp(body.data + i, mark, mark_len) == 0)
            len += (size_t)snprintf(out + len, size - len, "%s%.*s", len > 0 ? " " : "",
                                    (int)strcspn(value, "\",\r"), value);
        assert_true(len < size);
    }
}

void handler_client_send(struct handler_client *client, struct handler_call *call, uint64_t now_ns)
{
    (void)client;
    (void)now_ns;
    assert_true(sent_count < DELIVERIES);
    sent[sent_count].call = call;
    sent[sent_count].answered = false;
    sent[sent_count].body_len = call->body.len;
    list(call->body, "\"kafkaoffset\":\"", sent[sent_count].offsets, sizeof(sent->offsets));
    list(call->body, "\"id\":\"", sent[sent_count].ids, sizeof(sent->ids));
    list(call->body, "\"oncegateattempt\":", sent[sent_count].attempts, sizeof(sent->attempts));
    list(call->head, "webhook-id: ", sent[sent_count].signed_id, sizeof(sent->signed_id));
    sent_count++;
}

void handler_client_cancel(struct handler_client *client, struct handler_call *call)
{
    (void)client;
    assert_ptr_equal(call, sent[sent_count - 1].call);
    cancelled = true;
}

/* ---- scenes ---- */

static int open_scene(void **state)
{
    struct config_problems problems = {0};
    struct err err = {0};
    (void)state;
    config = config_parse(yaml, sizeof(yaml) - 1, "test.yaml", &problems, &err);
    config_problems_free(&problems);
    loop = config ? loop_new(&err) : NULL;
    if (!loop)
        return -1;
    metrics = metrics_new();
    lanes = lane_table_new();
    route = (struct route){.loop = loop, .config = &config->routes[0]};
    route.metrics.deliveries[OUTCOME_RETRY] = metrics_counter(metrics, "deliveries", "", NULL, 0);
    route.metrics.handler_in_flight = metrics_gauge(metrics, "in_flight", "", NULL, 0);
    route.metrics.handler_seconds = metrics_histogram(metrics, "seconds", "", NULL, 0, NULL, 0);
    route.template = request_template_new(route.config, &err);
    route.batches = batches_new(&route, REQUESTS_MAX);
    memset(fates, 0, sizeof(fates));
    sent_count = 0;
    cancelled = false;
    for (int i = 0; i < DELIVERIES; i++) {
        deliveries[i] = (struct delivery){
            .route = &route,
            .rec = {.topic = SLICE_LIT("orders"), .key = SLICE_LIT("k"), .value = SLICE_LIT("v")},
            .origin = {.topic = SLICE_LIT("orders"), .offset = i, .timestamp_ms = -1},
            .identity = {.kind = IDENTITY_SEQUENCE, .status = IDENTITY_OK, .number = (uint64_t)i}};
    }
    return 0;
}

static void end_request(size_t request)
{
    struct handler_call *call = sent[request].call;
    sent[request].answered = true;
    call->done(call);
    loop_turn(loop, false);
}

/* What a test left open ends, and so do the requests that come of that. */
static int close_scene(void **state)
{
    (void)state;
    for (size_t i = 0; i < sent_count; i++) {
        if (!sent[i].answered)
            end_request(i);
    }
    batches_free(&route.batches);
    request_template_free(&route.template);
    lane_table_free(&lanes);
    metrics_free(&metrics);
    loop_free(&loop);
    config_free(&config);
    return 0;
}

/* With other bounds than the configuration's. */
static void bound(uint32_t records, uint64_t bytes)
{
    batches_free(&route.batches);
    config->routes[0].handler.batch_max_records = records;
    config->routes[0].handler.batch_max_bytes = bytes;
    route.batches = batches_new(&route, REQUESTS_MAX);
}

/* The deliveries from `from` on, without `to`, come in one turn. */
static void add(int from, int to)
{
    for (int i = from; i < to; i++)
        batch_add(&deliveries[i]);
    loop_turn(loop, false);
}

static void assert_request(size_t request, const char *offsets)
{
    assert_true(request < sent_count);
    assert_string_equal(sent[request].offsets, offsets);
}

static void answer(size_t request, int status, const char *body)
{
    struct handler_call *call = sent[request].call;
    call->answer = (struct handler_answer){
        .status = status, .request_sent = true, .retry_after_ms = -1};
    buf_add_text(call->results, body);
    end_request(request);
}

/* An answer with these outcomes, of its records in their order; "-": it does not name that one. */
static void answer_each(size_t request, const char *outcomes)
{
    char ids[sizeof(sent->ids)], wanted[200];
    struct buf body = {0};
    char *id_rest = NULL, *outcome_rest = NULL;
    snprintf(ids, sizeof(ids), "%s", sent[request].ids);
    snprintf(wanted, sizeof(wanted), "%s", outcomes);
    char *id = strtok_r(ids, " ", &id_rest), *outcome = strtok_r(wanted, " ", &outcome_rest);
    buf_add_text(&body, "{\"results\":[");
    for (const char *comma = ""; id && outcome;
         id = strtok_r(NULL, " ", &id_rest), outcome = strtok_r(NULL, " ", &outcome_rest)) {
        if (strcmp(outcome, "-") == 0)
            continue;
        buf_add_text(&body, comma);
        buf_add_text(&body, "{\"id\":\"");
        buf_add_text(&body, id);
        buf_add_text(&body, "\",\"outcome\":\"");
        buf_add_text(&body, outcome);
        buf_add_text(&body, "\"}");
        comma = ",";
    }
    buf_add_text(&body, "]}");
    assert_true(id == NULL && outcome == NULL);
    answer(request, 200, body.data);
    buf_deinit(&body);
}

static void assert_ended(int i, enum outcome outcome, const char *code)
{
    assert_int_equal(fates[i].ended, 1);
    assert_int_equal(fates[i].outcome, outcome);
    assert_string_equal(fates[i].code, code);
}

/* ---- what a request takes ---- */

static void test_batch_takes_max_records_in_the_order_they_came(void **state)
{
    (void)state;
    add(0, 5);
    assert_int_equal(sent_count, 2);
    assert_request(0, "0 1 2");
    assert_request(1, "3 4");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(deliveries[i].attempt, 1);
        assert_int_equal(deliveries[i].state, DELIVERY_HANDLING);
    }
}

static void test_batch_no_more_requests_than_connections_then_all_that_gathered(void **state)
{
    (void)state;
    add(0, 1);
    add(1, 2);
    add(2, 6);
    assert_int_equal(sent_count, 2);
    assert_int_equal(deliveries[2].state, DELIVERY_GATHERED);
    assert_int_equal(deliveries[2].attempt, 0);
    answer_each(0, "success");
    assert_int_equal(sent_count, 3);
    assert_request(2, "2 3 4");
    answer_each(1, "success");
    assert_request(3, "5");
}

/* At its bound to the byte, and a byte below it: then the last one is not begun, and goes first. */
static void test_batch_is_full_by_bytes_and_leaves_the_next_one_as_it_was(void **state)
{
    (void)state;
    add(0, 3);
    assert_request(0, "0 1 2");
    size_t len = sent[0].body_len;
    answer_each(0, "success success success");
    for (int i = 0; i < 3; i++)
        deliveries[i].attempt = 0; /* of the same length again */
    memset(fates, 0, sizeof(fates));
    bound(3, len);
    add(0, 3);
    assert_request(1, "0 1 2");
    assert_int_equal(sent[1].body_len, len);
    answer_each(1, "success success success");
    for (int i = 0; i < 3; i++)
        deliveries[i].attempt = 0;
    memset(fates, 0, sizeof(fates));
    bound(3, len - 1);
    add(0, 3);
    assert_int_equal(sent_count, 4);
    assert_request(2, "0 1");
    assert_request(3, "2");
    assert_int_equal(fates[2].begun, 1);
    assert_int_equal(deliveries[2].attempt, 1);
    assert_string_equal(sent[3].attempts, "1");
    answer_each(2, "success drop");
    answer_each(3, "dead-letter");
    assert_ended(0, OUTCOME_SUCCESS, "http-200");
    assert_ended(1, OUTCOME_DROP, "http-200");
    assert_ended(2, OUTCOME_DEAD_LETTER, "http-200");
}

static void sign(const char *file)
{
    struct err err = {0};
    char *files[] = {(char *)(uintptr_t)file};
    struct handler_config *handler = &config->routes[0].handler;
    struct handler_config before = *handler;
    handler->sign_secret_files = files;
    handler->sign_secret_file_count = 1;
    request_template_free(&route.template);
    route.template = request_template_new(route.config, &err);
    *handler = before;
    assert_non_null(route.template);
}

/* The id that is signed is made of those of the records within, not of one that found no room. */
static void test_batch_full_is_signed_for_those_within(void **state)
{
    char file[] = "/tmp/oncegate-secret.XXXXXX";
    int fd = mkstemp(file);
    (void)state;
    assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    close(fd);
    sign(file);
    unlink(file);
    add(0, 2);
    answer_each(0, "success success");
    deliveries[0].attempt = deliveries[1].attempt = 0;
    bound(3, sent[0].body_len + 20); /* room for its value, not for its event */
    add(0, 3);
    assert_request(1, "0 1");
    assert_true(strlen(sent[0].signed_id) > 0);
    assert_string_equal(sent[1].signed_id, sent[0].signed_id);
    assert_string_not_equal(sent[2].signed_id, sent[0].signed_id);
}

static void test_batch_full_while_all_requests_are_open_waits_as_it_was(void **state)
{
    (void)state;
    bound(3, 1);
    add(0, 3);
    assert_int_equal(sent_count, 2);
    assert_int_equal(deliveries[2].state, DELIVERY_GATHERED);
    assert_int_equal(deliveries[2].attempt, 0);
    assert_int_equal(fates[2].begun, 0);
}

/* A value that has no room is not made an event of, until it goes alone. */
static void test_batch_value_without_room_is_not_written_for_nothing(void **state)
{
    static char large[5000];
    (void)state;
    memset(large, 'x', sizeof(large));
    deliveries[1].rec.value = (struct slice){large, sizeof(large)};
    bound(3, 4096);
    add(0, 1);
    add(1, 2); /* both requests are taken */
    answer_each(0, "success");
    assert_request(1, "1"); /* larger than any request, and alone */
    assert_int_equal(fates[1].described, 1);
    batch_add(&deliveries[2]);
    deliveries[3].rec.value = (struct slice){large, 4000};
    batch_add(&deliveries[3]);
    loop_turn(loop, false);
    assert_request(2, "2");
    assert_int_equal(fates[3].described, 0);
    answer_each(1, "success");
    assert_request(3, "3");
    assert_int_equal(fates[3].described, 1);
    assert_int_equal(fates[3].begun, 1);
}

/* By the lanes, which batch.c relies upon. */
static void test_batch_has_one_record_of_a_key(void **state)
{
    static const char *const keys[] = {"a", "a", "b", "a", "c"};
    static const char *const requests[] = {"0 2 4", "1", "3"};
    struct lane *lane;
    (void)state;
    for (int i = 0; i < 5; i++) {
        lane = lane_get(lanes, 0, 'k', (struct slice){keys[i], 1});
        deliveries[i].lane = lane;
        lane_push(lanes, lane, &deliveries[i]);
    }
    for (size_t n = 0; n < 3; n++) {
        while ((lane = lane_pop_ready(lanes)) != NULL)
            batch_add(lane_next(lane));
        loop_turn(loop, false);
        assert_int_equal(sent_count, n + 1);
        assert_request(n, requests[n]);
        answer_each(n, n == 0 ? "success retry drop" : "success");
    }
    assert_int_equal(lane_table_count(lanes), 0);
}

static void test_batch_what_failed_before_goes_alone_in_turn_with_the_others(void **state)
{
    (void)state;
    bound(2, 100000);
    deliveries[0].attempt = 1;
    deliveries[1].probe = true;
    deliveries[2].alone = true;
    add(0, 7);
    answer_each(0, "success");
    answer_each(1, "success success");
    answer_each(2, "success");
    answer_each(3, "success success");
    assert_int_equal(sent_count, 5);
    assert_request(0, "0");
    assert_request(1, "3 4");
    assert_request(2, "1");
    assert_request(3, "5 6");
    assert_request(4, "2");
}

static void test_batch_looks_anew_at_each_before_it_is_sent(void **state)
{
    (void)state;
    bound(8, 100000);
    fates[1].unwanted = fates[2].held = fates[3].uncovered = true;
    fates[4].unwanted = fates[4].held = true;
    deliveries[4].once = true; /* recorded as done: nobody else would deliver it */
    add(0, 6);
    assert_int_equal(sent_count, 1);
    assert_request(0, "0 4 5");
    assert_ptr_equal(fates[1].released_to, delivery_put_back);
    assert_ptr_equal(fates[2].released_to, delivery_put_back);
    assert_int_equal(fates[3].claimed, 1);
    for (int i = 1; i < 4; i++)
        assert_int_equal(deliveries[i].attempt, 0);
    fates[6].unwanted = true;
    add(6, 7);
    assert_int_equal(sent_count, 1); /* nothing was left of it */
}

static void test_batch_let_go_gives_back_what_a_drain_does_not_want(void **state)
{
    (void)state;
    add(0, 1);
    add(1, 2);
    deliveries[3].alone = deliveries[5].alone = true;
    deliveries[6].once = true;
    add(2, 7);
    for (int i = 0; i < 7; i++)
        fates[i].unwanted = i != 4 && i != 5; /* these are of a partition that stays */
    batch_let_go(&route);
    assert_null(fates[0].released_to);
    assert_ptr_equal(fates[2].released_to, delivery_put_back);
    assert_ptr_equal(fates[3].released_to, delivery_put_back);
    assert_null(fates[4].released_to);
    answer_each(0, "success");
    answer_each(1, "success");
    assert_request(2, "5");
    assert_request(3, "4 6");
}

static void test_batch_cancel_drops_what_gathered_and_calls_off_what_is_open(void **state)
{
    (void)state;
    add(0, 3);
    deliveries[4].alone = true;
    batch_add(&deliveries[3]);
    batch_add(&deliveries[4]);
    batch_cancel_all(&route);
    assert_true(cancelled);
    assert_int_equal(fates[3].dropped, 1);
    assert_int_equal(fates[4].dropped, 1);
    sent[0].call->answer = (struct handler_answer){.error = HANDLER_RESET, .cancelled = true};
    end_request(0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fates[i].dropped, 1);
        assert_true(deliveries[i].ambiguous);
        assert_int_equal(fates[i].ended, 0);
    }
    assert_int_equal(sent_count, 1);
}

/* ---- what becomes of it ---- */

static void test_answer_gives_each_its_own(void **state)
{
    (void)state;
    add(0, 3);
    answer_each(0, "success - retry");
    assert_ended(0, OUTCOME_SUCCESS, "http-200");
    assert_ended(1, OUTCOME_RETRY, "batch-missing");
    assert_ended(2, OUTCOME_RETRY, "http-200");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fates[i].told_breaker, 1);
        assert_false(fates[i].ended_alone);
    }
}

static void test_answer_that_names_nobody_is_of_all_and_once_for_the_breaker(void **state)
{
    static const struct {
        const char *body, *code;
    } answers[] = {{"", "batch-missing"},
                   {"{\"results\":[{\"id\":\"x\",\"outcome\":\"success\"}]}", "batch-missing"},
                   {"ok", "batch-unreadable"}};
    (void)state;
    for (size_t n = 0; n < 3; n++) {
        memset(fates, 0, sizeof(fates));
        for (int i = 0; i < 3; i++)
            deliveries[i].attempt = deliveries[i].alone = 0;
        add(0, 3);
        answer(n, 200, answers[n].body);
        for (int i = 0; i < 3; i++) {
            assert_ended(i, OUTCOME_RETRY, answers[n].code);
            assert_true(fates[i].ended_alone);
            assert_int_equal(fates[i].told_breaker, i == 0);
        }
    }
}

static void test_status_that_gives_up_is_asked_of_each_alone_and_spends_nothing(void **state)
{
    (void)state;
    fates[2].unwanted = true;
    batch_add(&deliveries[0]);
    batch_add(&deliveries[1]);
    deliveries[2].once = true;
    batch_add(&deliveries[2]);
    loop_turn(loop, false);
    assert_request(0, "0 1 2");
    answer(0, 422, "");
    assert_ended(2, OUTCOME_DEAD_LETTER, "http-422"); /* it has no other attempt */
    assert_int_equal(sent_count, 3);
    assert_request(1, "0");
    assert_request(2, "1");
    assert_int_equal(deliveries[0].attempt, 1);
    assert_string_equal(sent[1].attempts, "1");
    assert_int_equal(fates[0].ended, 0);
    answer(1, 422, "");
    assert_ended(0, OUTCOME_DEAD_LETTER, "http-422");
    answer_each(2, "success");
    assert_ended(1, OUTCOME_SUCCESS, "http-200");
    assert_false(fates[1].ended_alone);
}

static void test_request_that_failed_sends_each_alone_from_then_on(void **state)
{
    (void)state;
    add(0, 3);
    answer(0, 500, "");
    for (int i = 0; i < 3; i++) {
        assert_ended(i, OUTCOME_RETRY, "http-500");
        assert_true(fates[i].ended_alone);
        assert_int_equal(deliveries[i].attempt, 1);
        assert_int_equal(fates[i].told_breaker, i == 0);
    }
}

int main(void)
{
#define SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        SCENE(test_batch_takes_max_records_in_the_order_they_came),
        SCENE(test_batch_no_more_requests_than_connections_then_all_that_gathered),
        SCENE(test_batch_is_full_by_bytes_and_leaves_the_next_one_as_it_was),
        SCENE(test_batch_full_is_signed_for_those_within),
        SCENE(test_batch_full_while_all_requests_are_open_waits_as_it_was),
        SCENE(test_batch_value_without_room_is_not_written_for_nothing),
        SCENE(test_batch_has_one_record_of_a_key),
        SCENE(test_batch_what_failed_before_goes_alone_in_turn_with_the_others),
        SCENE(test_batch_looks_anew_at_each_before_it_is_sent),
        SCENE(test_batch_let_go_gives_back_what_a_drain_does_not_want),
        SCENE(test_batch_cancel_drops_what_gathered_and_calls_off_what_is_open),
        SCENE(test_answer_gives_each_its_own),
        SCENE(test_answer_that_names_nobody_is_of_all_and_once_for_the_breaker),
        SCENE(test_status_that_gives_up_is_asked_of_each_alone_and_spends_nothing),
        SCENE(test_request_that_failed_sends_each_alone_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
