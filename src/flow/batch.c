/*
 * Batches; see batch.h.
 *
 * What a request as a whole comes to says little of one record: any of them may be at fault. So an
 * answer that would give all of them up (a 4xx) is asked for again, each record alone; where the
 * request failed, each is retried as its own failure would be, alone; and a record that ever spent
 * an attempt goes alone, whatever for. A record that takes the handler down with it, or that hangs
 * it, therefore costs its neighbours one attempt and no more.
 *
 * Invariants: a gathered delivery holds its slot and its claim, and both are looked at anew before
 * it is sent; a request that failed as a whole counts once for the breaker; no more requests are
 * open than the client has connections. Must not: decide what an outcome leads to (attempt.c).
 */
#include "flow/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "flow/attempt.h"
#include "flow/claim.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "handler/batch_answer.h"
#include "handler/batch_event.h"
#include "handler/classify.h"

/* Of a request's memory what is kept for the next one. */
#define BODY_IDLE_MAX (128 * 1024)

/* One request. */
struct batch {
    struct handler_call call;
    struct route *route;
    struct buf head, body, results;
    struct batch_ids ids;
    struct delivery **deliveries; /* in the order of ids */
    uint32_t count;
    uint64_t started_ns;
    TAILQ_ENTRY(batch) in_list;
};

TAILQ_HEAD(batch_list, batch);

struct batches {
    struct route *route;
    uint32_t max_records, requests_max, requests;
    size_t max_bytes;
    struct delivery_list gathered, alone;
    bool alone_last; /* the last request was of one that goes alone: they take turns */
    struct batch_list open, free;
    struct loop_task task;
    struct batch_result *results;  /* of the answer being read, as the next */
    struct handler_answer *answer; /* what it says of one record */
};

static void answered(struct handler_call *call);

/* ---- requests ---- */

static struct batch *take(struct batches *batches)
{
    struct batch *batch = TAILQ_FIRST(&batches->free);
    if (batch) {
        TAILQ_REMOVE(&batches->free, batch, in_list);
    } else {
        batch = mem_zalloc(sizeof(*batch));
        batch->route = batches->route;
        batch->deliveries = mem_calloc(batches->max_records, sizeof(*batch->deliveries));
    }
    batch->count = 0;
    buf_reset(&batch->head);
    buf_reset(&batch->body);
    buf_reset(&batch->results);
    batch_ids_reset(&batch->ids);
    return batch;
}

static void give(struct batches *batches, struct batch *batch)
{
    if (batch->body.cap > BODY_IDLE_MAX)
        buf_deinit(&batch->body);
    if (batch->results.cap > BODY_IDLE_MAX)
        buf_deinit(&batch->results);
    TAILQ_INSERT_HEAD(&batches->free, batch, in_list);
}

/* Since it was granted the route may have been held or be draining, its breaker may have opened,
 * and its claim may have grown too short: then it starts over. */
static bool may_go(struct delivery *d, uint64_t now_ns)
{
    if (!d->once && (delivery_unwanted(d) || !claim_may_deliver(d))) {
        delivery_release(d, delivery_put_back);
        return false;
    }
    if (!attempt_is_covered(d, now_ns)) {
        claim_start(d);
        return false;
    }
    return true;
}

/*
 * Appends the record's event; false: the request is full without it, and nothing has come of it. An
 * event is seldom shorter than its value, which is therefore looked at first: what is large is not
 * written for nothing.
 */
static bool add_event(struct batches *batches, struct batch *batch, struct delivery *d,
                      int64_t deadline_wall_ms)
{
    struct request_facts facts;
    size_t body_len = batch->body.len, ids_len = batch->ids.bytes.len;
    if (batch->count > 0 && body_len + d->rec.value.len >= batches->max_bytes)
        return false;
    attempt_describe(d, deadline_wall_ms, &facts);
    buf_add_char(&batch->body, batch->count > 0 ? ',' : '[');
    batch_event_write(batches->route->template, &facts, &batch->body, &batch->ids.bytes);
    if (batch->count > 0 && batch->body.len >= batches->max_bytes) {
        batch->body.len = body_len;
        batch->ids.bytes.len = ids_len;
        return false;
    }
    attempt_begin(d);
    if (d->twin)
        metric_add(d->route->metrics.twin_deliveries, 1);
    batch_ids_end(&batch->ids);
    batch->deliveries[batch->count++] = d;
    return true;
}

static void fill(struct batches *batches, struct batch *batch, struct delivery_list *from,
                 int64_t deadline_wall_ms)
{
    uint32_t most = from == &batches->alone ? 1 : batches->max_records;
    struct delivery *d;
    while (batch->count < most && (d = TAILQ_FIRST(from)) != NULL) {
        TAILQ_REMOVE(from, d, in_lane);
        if (!may_go(d, batch->started_ns))
            continue;
        if (!add_event(batches, batch, d, deadline_wall_ms)) {
            TAILQ_INSERT_HEAD(from, d, in_lane);
            return;
        }
    }
}

static void send_next(struct batches *batches, struct delivery_list *from)
{
    struct route *route = batches->route;
    int64_t timeout_ms = route->config->handler.timeout_ms;
    int64_t deadline_wall_ms = clock_wall_ms() + timeout_ms;
    struct batch *batch = take(batches);
    batch->started_ns = clock_mono_ns();
    fill(batches, batch, from, deadline_wall_ms);
    if (batch->count == 0) {
        give(batches, batch);
        return;
    }
    buf_add_char(&batch->body, ']');
    batch_head_write(route->template, deadline_wall_ms, buf_slice(&batch->body),
                     buf_slice(&batch->ids.bytes), &batch->head);
    batch->call.head = buf_slice(&batch->head);
    batch->call.body = buf_slice(&batch->body);
    batch->call.results = &batch->results;
    batch->call.deadline_ns = batch->started_ns + (uint64_t)timeout_ms * NS_PER_MS;
    batch->call.done = answered;
    batch->call.arg = batch;
    TAILQ_INSERT_TAIL(&batches->open, batch, in_list);
    batches->requests++;
    metric_gauge_add(route->metrics.handler_in_flight, 1);
    handler_client_send(route->client, &batch->call, batch->started_ns);
}

static void send_all(void *arg)
{
    struct batches *batches = arg;
    while (batches->requests < batches->requests_max) {
        bool some = !TAILQ_EMPTY(&batches->gathered), single = !TAILQ_EMPTY(&batches->alone);
        if (!some && !single)
            return;
        batches->alone_last = single && !(some && batches->alone_last);
        send_next(batches, batches->alone_last ? &batches->alone : &batches->gathered);
    }
}

void batch_add(struct delivery *d)
{
    struct batches *batches = d->route->batches;
    bool alone = d->alone || d->probe || d->attempt > 0;
    step_begin(d, DELIVERY_GATHERED);
    TAILQ_INSERT_TAIL(alone ? &batches->alone : &batches->gathered, d, in_lane);
    loop_defer(d->route->loop, &batches->task);
}

static void let_go(struct delivery_list *list, uint64_t now_ns)
{
    struct delivery *d, *next;
    for (d = TAILQ_FIRST(list); d; d = next) {
        next = TAILQ_NEXT(d, in_lane);
        if (d->once || !delivery_unwanted(d))
            continue;
        TAILQ_REMOVE(list, d, in_lane);
        (void)may_go(d, now_ns);
    }
}

void batch_let_go(struct route *route)
{
    if (!route->batches)
        return;
    let_go(&route->batches->gathered, clock_mono_ns());
    let_go(&route->batches->alone, clock_mono_ns());
}

/* ---- answers ---- */

/* No record's own: a status that would give all of them up, and that the handler may mean of one.
 */
static bool is_of_one(const struct batch *batch, const struct verdict *verdict)
{
    const struct handler_answer *answer = &batch->call.answer;
    return batch->count > 1 && answer->error == HANDLER_OK && !answer->has_outcome &&
           (verdict->outcome == OUTCOME_DEAD_LETTER || verdict->outcome == OUTCOME_DROP);
}

/* Once more, alone; no attempt is spent, as nothing is known of this record. */
static void ask_alone(struct delivery *d)
{
    metric_add(d->route->metrics.deliveries[OUTCOME_RETRY], 1);
    d->attempt--;
    d->alone = true;
    batch_add(d);
}

static void end_as_one(struct batch *batch, const struct verdict *verdict)
{
    struct attempt_end end = {verdict, &batch->call.answer, batch->call.ended_ns,
                              attempt_is_lonely_probe(batch->deliveries[0])};
    bool of_one = is_of_one(batch, verdict);
    attempt_tell_breaker(batch->deliveries[0], verdict);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct delivery *d = batch->deliveries[i];
        if (of_one && !d->once && !delivery_unwanted(d)) {
            ask_alone(d);
            continue;
        }
        d->alone = verdict->outcome == OUTCOME_RETRY && verdict->spends_attempt;
        attempt_ended(d, &end);
    }
}

static void end_one(struct batch *batch, const struct batch_answer *results, uint32_t i,
                    int64_t wall_ms)
{
    struct batches *batches = batch->route->batches;
    struct delivery *d = batch->deliveries[i];
    struct verdict verdict;
    struct attempt_end end = {&verdict, batches->answer, batch->call.ended_ns,
                              attempt_is_lonely_probe(d)};
    batch_answer_of(results, i, &batch->call.answer, wall_ms, batches->answer);
    classify_answer(batch->route->config, batches->answer, &verdict);
    if (batches->answer->error != HANDLER_OK)
        snprintf(verdict.code, sizeof(verdict.code), "%s", BATCH_UNREADABLE);
    d->alone = false;
    attempt_tell_breaker(d, &verdict);
    attempt_ended(d, &end);
}

/* The answer says nothing of any record: that is the handler's fault, as a broken answer is. */
static void end_unread(struct batch *batch, const char *code, const char *why)
{
    struct handler_answer *answer = &batch->call.answer;
    struct verdict verdict;
    answer->error = HANDLER_PROTOCOL;
    snprintf(answer->detail, sizeof(answer->detail), "%s", why);
    classify_answer(batch->route->config, answer, &verdict);
    snprintf(verdict.code, sizeof(verdict.code), "%s", code);
    end_as_one(batch, &verdict);
}

static void end_by_results(struct batch *batch)
{
    struct batch_answer results = {.results = batch->route->batches->results};
    int64_t wall_ms = clock_wall_ms();
    if (!batch_answer_read(buf_slice(&batch->results), batch->call.results_cut, &batch->ids,
                           &results)) {
        end_unread(batch, BATCH_UNREADABLE, results.problem);
        return;
    }
    if (results.named == 0 && !batch->call.answer.has_outcome) {
        end_unread(batch, BATCH_MISSING,
                   results.unknown ? "the answer has results of ids only that the request did not "
                                     "have"
                                   : "the answer has no result of any record");
        return;
    }
    for (uint32_t i = 0; i < batch->count; i++)
        end_one(batch, &results, i, wall_ms);
}

static void end_cancelled(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->deliveries[i]->ambiguous = true;
        delivery_drop(batch->deliveries[i]);
    }
}

static void answered(struct handler_call *call)
{
    struct batch *batch = call->arg;
    struct route *route = batch->route;
    struct batches *batches = route->batches;
    const struct handler_answer *answer = &call->answer;
    struct verdict verdict;
    CRASH_POINT("answer");
    TAILQ_REMOVE(&batches->open, batch, in_list);
    batches->requests--;
    metric_gauge_add(route->metrics.handler_in_flight, -1);
    metric_observe(route->metrics.handler_seconds,
                   (double)(call->ended_ns - batch->started_ns) / 1e9);
    classify_answer(route->config, answer, &verdict);
    if (answer->cancelled)
        end_cancelled(batch);
    else if (answer->error == HANDLER_OK && answer->status / 100 == 2 &&
             (answer->has_outcome || verdict.outcome == OUTCOME_SUCCESS))
        end_by_results(batch);
    else
        end_as_one(batch, &verdict);
    give(batches, batch);
    loop_defer(route->loop, &batches->task);
}

/* ---- all of them ---- */

static void drop_list(struct delivery_list *list)
{
    struct delivery *d;
    while ((d = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, d, in_lane);
        delivery_drop(d);
    }
}

void batch_cancel_all(struct route *route)
{
    struct batches *batches = route->batches;
    struct batch *batch;
    drop_list(&batches->gathered);
    drop_list(&batches->alone);
    TAILQ_FOREACH(batch, &batches->open, in_list)
    handler_client_cancel(route->client, &batch->call);
}

struct batches *batches_new(struct route *route, uint32_t requests_max)
{
    const struct handler_config *config = &route->config->handler;
    struct batches *batches = mem_zalloc(sizeof(*batches));
    batches->route = route;
    batches->requests_max = requests_max;
    batches->max_records = config->batch_max_records;
    batches->max_bytes = config->batch_max_bytes;
    batches->results = mem_calloc(batches->max_records, sizeof(*batches->results));
    batches->answer = mem_zalloc(sizeof(*batches->answer));
    TAILQ_INIT(&batches->gathered);
    TAILQ_INIT(&batches->alone);
    TAILQ_INIT(&batches->open);
    TAILQ_INIT(&batches->free);
    loop_task_init(&batches->task, send_all, batches);
    return batches;
}

void batches_free(struct batches **owned)
{
    struct batches *batches = *owned;
    struct batch *batch;
    if (!batches)
        return;
    loop_task_cancel(batches->route->loop, &batches->task);
    while ((batch = TAILQ_FIRST(&batches->free)) != NULL) {
        TAILQ_REMOVE(&batches->free, batch, in_list);
        buf_deinit(&batch->head);
        buf_deinit(&batch->body);
        buf_deinit(&batch->results);
        batch_ids_deinit(&batch->ids);
        mem_free(batch->deliveries);
        mem_free(batch);
    }
    mem_free(batches->results);
    mem_free(batches->answer);
    mem_free(batches);
    *owned = NULL;
}
