/*
 * Queues of operations, and the batches that are made of them.
 *
 *   submit --> finishes, claims --pump--> calls (in flight) --answer--> done
 *                    ^                          |
 *                    +-- connection lost -------+   (in the order in which they were sent)
 *
 * Invariants:
 * - An operation of a key is not sent while an earlier one of that key is on its way (lanes),
 * unless both go in one batch: so neither a reconnect nor a script that must be sent again can
 * change the order of a key's operations.
 * - A batch holds finishes first, then claims; claims go only when every finish before them could.
 * - A call is of one script: swap_states for plain operations of keys whose state is known,
 * apply_ops for all others, and for those that swap_states did not find as expected.
 * - `done` is called from the loop only, once; the ledger does not touch the operation after it.
 * Must not decide anything about a record: it carries facts and answers.
 */
#include "ledger/ledger.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/parts.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/sentinel.h"

#define CALLS_MAX 8
#define CALLS_EAGER                                                                                \
    1 /* below this any operation goes at once, above it when a batch is worth a call */
#define BATCH_WORTH 32
#define SCAN_MAX    512 /* queued operations looked at for one batch */

enum op_state { OP_DONE, OP_QUEUED, OP_SENT, OP_ENDED };

static void list_push(struct op_list *list, struct ledger_op *op)
{
    op->next = NULL;
    op->prev = list->last;
    if (list->last)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
    list->count++;
}

static void list_push_front(struct op_list *list, struct ledger_op *op)
{
    op->prev = NULL;
    op->next = list->first;
    if (list->first)
        list->first->prev = op;
    else
        list->last = op;
    list->first = op;
    list->count++;
}

static void list_remove(struct op_list *list, struct ledger_op *op)
{
    if (op->prev)
        op->prev->next = op->next;
    else
        list->first = op->next;
    if (op->next)
        op->next->prev = op->prev;
    else
        list->last = op->prev;
    op->next = op->prev = NULL;
    list->count--;
}

static struct op_list *queue_of(struct ledger *ledger, const struct ledger_op *op)
{
    return op->verb == LEDGER_FINISH ? &ledger->finishes : &ledger->claims;
}

static uint16_t *lane_of(struct ledger *ledger, const struct ledger_op *op)
{
    uint64_t hash = op->key_hash;
    if (scope_is_by_partition(op->scope, op))
        hash += (uint64_t)(uint32_t)op->origin_partition * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    return &ledger->lanes[hash % LEDGER_LANES];
}

static void complete(struct ledger *ledger, struct ledger_op *op)
{
    op->state = OP_DONE;
    ledger->pending--;
    op->done(op);
}

/* ---- calls ---- */

static void call_unlink(struct ledger *ledger, struct batch_call *call)
{
    if (call->prev)
        call->prev->next = call->next;
    else
        ledger->first_call = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        ledger->last_call = call->prev;
    ledger->calls--;
    for (size_t i = 0; i < call->count; i++)
        --*lane_of(ledger, call->ops[i]);
}

/* What was not as expected is asked of apply_ops, before all that came later. */
static void ask_again(struct ledger *ledger, struct ledger_op *op)
{
    op->no_swap = true;
    op->state = op->cancelled ? OP_ENDED : OP_QUEUED;
    if (ledger->swap_misses)
        metric_add(ledger->swap_misses, 1);
    if (!op->cancelled) {
        list_push_front(queue_of(ledger, op), op);
        return;
    }
    list_push(&ledger->ended, op);
    loop_defer(ledger->loop, &ledger->end_task);
}

static void call_finish(struct batch_call *call)
{
    struct ledger *ledger = call->ledger;
    struct metric *seconds = call->swap ? ledger->swap_seconds : ledger->call_seconds;
    call_unlink(ledger, call);
    session_is_healthy(ledger->session);
    if (seconds)
        metric_observe(seconds, (double)(clock_mono_ns() - call->sent_ns) / 1e9);
    loop_defer(ledger->loop, &ledger->pump_task);
    for (size_t i = 0; i < call->count; i++) {
        struct ledger_op *op = call->ops[i];
        if (call->swap && !call->swapped[i]) {
            ask_again(ledger, op);
            continue;
        }
        op->lease_deadline_ns = op->sent_ns + (uint64_t)op->lease_ms * NS_PER_MS;
        complete(ledger, op);
    }
    mem_free(call);
}

static bool call_send(struct batch_call *call, bool whole);

static void on_answer(void *arg, const redisReply *reply)
{
    struct batch_call *call = arg;
    struct ledger *ledger = call->ledger;
    struct err err = {0};
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        call->void_waits += call->wait;
        if (!call_send(call, true))
            session_refused(ledger->session, "cannot send");
        return;
    }
    if (!(call->swap ? swaps_read(ledger->swaps, ledger->names, reply, call->ops, call->count,
                                  call->swapped, &err)
                     : batch_read(reply, ledger->swaps, call->ops, call->count, &err))) {
        ledger_count_error(ledger, err.text);
        session_refused(ledger->session, err.text);
        return;
    }
    if (!call->wait)
        call_finish(call);
}

static void on_waited(void *arg, const redisReply *reply)
{
    struct batch_call *call = arg;
    struct ledger *ledger = call->ledger;
    if (call->void_waits) {
        call->void_waits--;
        return;
    }
    if (reply->type == REDIS_REPLY_INTEGER &&
        reply->integer >= (long long)ledger->config->wait_replicas) {
        call_finish(call);
        return;
    }
    char why[200];
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(why, sizeof(why),
                 "NOREPLICAS: %lld of %u replicas took the write within redis.wait.timeout",
                 reply->integer, (unsigned)ledger->config->wait_replicas);
    else
        snprintf(why, sizeof(why), "WAIT: %.150s", reply->str ? reply->str : "an unknown answer");
    ledger_count_error(ledger, why);
    session_refused(ledger->session, why);
}

static bool call_send(struct batch_call *call, bool whole)
{
    struct ledger *ledger = call->ledger;
    call->sent_ns = clock_mono_ns();
    for (size_t i = 0; i < call->count; i++)
        call->ops[i]->sent_ns = call->sent_ns;
    buf_reset(&ledger->out);
    if (call->swap)
        swaps_build(&ledger->out, ledger->swaps, ledger->names, call->ops, call->count, whole);
    else
        batch_build(&ledger->out, ledger->names, call->ops, call->count, whole);
    if (!session_send(ledger->session, ledger->out.data, ledger->out.len, on_answer, call))
        return false;
    call->wait = ledger->config->wait_replicas > 0 && call->ops[0]->verb == LEDGER_FINISH;
    if (!call->wait)
        return true;
    buf_reset(&ledger->out);
    resp_begin(&ledger->out, 3);
    resp_text(&ledger->out, "WAIT");
    resp_number(&ledger->out, ledger->config->wait_replicas);
    resp_number(&ledger->out, (uint64_t)ledger->config->wait_timeout_ms);
    return session_send(ledger->session, ledger->out.data, ledger->out.len, on_waited, call);
}

/* Is a claim that was kept for the record its answer? */
static bool is_granted(struct ledger *ledger, struct ledger_op *op, bool first)
{
    return ledger->up && op->verb == LEDGER_CLAIM && ledger->swaps && op->cover_ms &&
           swaps_grant(ledger->swaps, ledger->names, op, clock_mono_ns(), first);
}

static void end_unasked(struct ledger *ledger, struct ledger_op *op)
{
    if (ledger->unasked)
        metric_add(ledger->unasked, 1);
    op->state = OP_ENDED;
    list_push(&ledger->ended, op);
    loop_defer(ledger->loop, &ledger->end_task);
}

/* What one call takes, and the keys that later operations of this choice must leave alone. */
struct choice {
    struct batch_call *call;
    uint16_t *passed[2 * SCAN_MAX]; /* lanes of operations left for a call of the other script */
    size_t passed_count;
    bool decided; /* which script */
};

static bool is_swap(struct ledger *ledger, const struct ledger_op *op)
{
    return ledger->swaps && !op->no_swap && swaps_fit(ledger->swaps, ledger->names, op);
}

/* Takes the operation, or leaves it for the other script: the first one decides. */
static bool choose(struct ledger *ledger, struct choice *choice, struct ledger_op *op)
{
    struct batch_call *call = choice->call;
    bool swap = is_swap(ledger, op);
    uint16_t *lane = lane_of(ledger, op);
    if (!choice->decided)
        call->swap = swap;
    choice->decided = true;
    if (swap == call->swap) {
        call->ops[call->count++] = op;
        if (!swap && ledger->swaps)
            swaps_bar(ledger->swaps, op);
        if (!swap)
            return true; /* in one call of apply_ops a key's operations keep their order */
    }
    ++*lane;
    choice->passed[choice->passed_count++] = lane;
    return swap == call->swap;
}

/* Moves what may go from the queue into the call. Returns false where a later operation must not go
 * either. */
static bool take(struct ledger *ledger, struct op_list *queue, struct choice *choice)
{
    size_t looked = 0;
    for (struct ledger_op *op = queue->first, *next; op; op = next) {
        next = op->next;
        if (choice->call->count == LEDGER_BATCH_MAX || looked++ == SCAN_MAX)
            return false;
        if (*lane_of(ledger, op))
            continue;
        if (is_granted(ledger, op,
                       true)) { /* the finish before it, which it waited for, kept its claim */
            list_remove(queue, op);
            end_unasked(ledger, op);
        } else if (choose(ledger, choice, op)) {
            list_remove(queue, op);
            op->state = OP_SENT;
        }
    }
    return true;
}

static bool send_next(struct ledger *ledger)
{
    size_t queued = ledger->finishes.count + ledger->claims.count;
    if (!ledger->up || !queued || ledger->calls == CALLS_MAX ||
        (ledger->calls >= CALLS_EAGER && queued < BATCH_WORTH))
        return false;
    struct batch_call *call = mem_zalloc(sizeof(*call));
    call->ledger = ledger;
    struct choice choice = {.call = call};
    if (take(ledger, &ledger->finishes, &choice))
        take(ledger, &ledger->claims, &choice);
    while (choice.passed_count > 0)
        --*choice.passed[--choice.passed_count];
    if (!call->count) {
        mem_free(call);
        return false;
    }
    for (size_t i = 0; i < call->count; i++)
        ++*lane_of(ledger, call->ops[i]);
    call->prev = ledger->last_call;
    if (ledger->last_call)
        ledger->last_call->next = call;
    else
        ledger->first_call = call;
    ledger->last_call = call;
    ledger->calls++;
    if (!call_send(call, false)) {
        session_refused(ledger->session, "cannot send");
        return false;
    }
    return true;
}

static void pump(void *arg)
{
    struct ledger *ledger = arg;
    while (send_next(ledger))
        continue;
}

/* What was on its way goes back to the heads of the queues, the oldest first; what nobody waits for
 * any more ends. */
static void requeue(struct ledger *ledger)
{
    struct batch_call *call;
    while ((call = ledger->last_call) != NULL) {
        call_unlink(ledger, call);
        for (size_t i = call->count; i-- > 0;) {
            struct ledger_op *op = call->ops[i];
            op->state = op->cancelled ? OP_ENDED : OP_QUEUED;
            if (op->cancelled)
                list_push(&ledger->ended, op);
            else
                list_push_front(queue_of(ledger, op), op);
        }
        mem_free(call);
    }
    if (ledger->ended.count)
        loop_defer(ledger->loop, &ledger->end_task);
}

static void end_ops(void *arg)
{
    struct ledger *ledger = arg;
    struct ledger_op *op;
    while ((op = ledger->ended.first) != NULL) {
        list_remove(&ledger->ended, op);
        complete(ledger, op);
    }
}

/* ---- the session's events ---- */

static void on_up(void *ctx)
{
    struct ledger *ledger = ctx;
    ledger->up = true;
    ledger->why[0] = '\0';
    if (ledger->up_gauge)
        metric_set(ledger->up_gauge, 1);
    log_info("redis_up", LOG_END);
    if (ledger->events.availability)
        ledger->events.availability(ledger->events.ctx, true, "");
    loop_timer_set_ms(&ledger->poll_timer, 0); /* the holds come first */
    requests_flush(ledger);
    pump(ledger);
}

static void on_down(void *ctx, const char *why)
{
    struct ledger *ledger = ctx;
    bool changed = ledger->up || strcmp(ledger->why, why) != 0;
    if (ledger->up && ledger->swaps)
        swaps_forget_all(ledger->swaps); /* it may be another server, or one that lost writes */
    ledger->up = false;
    snprintf(ledger->why, sizeof(ledger->why), "%s", why);
    requeue(ledger);
    requests_requeue(ledger);
    holds_connection_lost(ledger);
    if (ledger->sentinel)
        sentinel_ask(ledger->sentinel);
    if (ledger->up_gauge)
        metric_set(ledger->up_gauge, 0);
    if (!changed)
        return;
    log_warn("redis_down", LOG_STR("why", ledger->why), LOG_END);
    if (ledger->events.availability)
        ledger->events.availability(ledger->events.ctx, false, ledger->why);
}

static void on_wiped(void *ctx)
{
    struct ledger *ledger = ctx;
    if (ledger->swaps)
        swaps_forget_all(ledger->swaps);
    if (ledger->wipes)
        metric_add(ledger->wipes, 1);
    log_error("ledger_wiped",
              LOG_STR("why", "the sentinel key is gone or another: Redis lost its data"), LOG_END);
    if (ledger->events.wiped)
        ledger->events.wiped(ledger->events.ctx);
}

static void on_master(void *ctx, const char *host, uint16_t port)
{
    struct ledger *ledger = ctx;
    char place[sizeof(ledger->place)], why[400];
    snprintf(place, sizeof(place), "%s:%u", host, (unsigned)port);
    snprintf(why, sizeof(why), "the sentinels name another master: %s", place);
    if (ledger->place[0]) {
        log_warn("redis_master_moved", LOG_STR("from", ledger->place), LOG_STR("to", place),
                 LOG_END);
        if (ledger->failovers)
            metric_add(ledger->failovers, 1);
    }
    snprintf(ledger->place, sizeof(ledger->place), "%s", place);
    session_aim(ledger->session, NULL, host, port, why);
}

static void on_master_unknown(void *ctx, const char *why)
{
    struct ledger *ledger = ctx;
    char text[sizeof(ledger->why)];
    if (ledger->up)
        return;
    snprintf(text, sizeof(text), "no sentinel names the master %.60s: %.300s",
             ledger->config->master, why);
    on_down(ledger, text);
}

bool ledger_is_refusal(const char *error)
{
    static const char *const words[] = {"OOM",    "READONLY", "NOREPLICAS",  "LOADING",
                                        "BUSY",   "MISCONF",  "NOAUTH",      "MASTERDOWN",
                                        "NOPERM", "TRYAGAIN", "CLUSTERDOWN", "UNKILLABLE"};
    size_t len = strcspn(error, " :");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == len && strncmp(words[i], error, len) == 0)
            return true;
    }
    return false;
}

void ledger_count_error(struct ledger *ledger, const char *error)
{
    char kind[24];
    if (!ledger->metrics)
        return;
    snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(error, " :"), error);
    struct metric_label label = {"kind", ledger_is_refusal(error) ? kind : "other"};
    metric_add(metrics_counter(ledger->metrics, "redis_errors_total",
                               "Errors that Redis answered, by their first word.", &label, 1),
               1);
}

/* ---- public ---- */

static void init_metrics(struct ledger *ledger, struct metrics *metrics)
{
    static const double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                    0.01,   0.025,   0.05,   0.1,   0.5,    2};
    struct metric_label script = {"script", scripts_name(SCRIPT_APPLY_OPS)};
    struct metric_label swap = {"script", scripts_name(SCRIPT_SWAP_STATES)};
    ledger->metrics = metrics;
    if (!metrics)
        return;
    ledger->up_gauge = metrics_gauge(metrics, "redis_up", "1 while Redis answers and takes writes.",
                                     NULL, 0);
    ledger->wipes = metrics_counter(metrics, "ledger_wipes_total",
                                    "Times that Redis was found to have lost its data.", NULL, 0);
    ledger->failovers = metrics_counter(
        metrics, "redis_failovers_total",
        "Times that another server became the master; it may lack the last writes.", NULL, 0);
    ledger->call_seconds = metrics_histogram(metrics, "redis_call_duration_seconds",
                                             "From sending a call to its answer.", bounds,
                                             sizeof(bounds) / sizeof(bounds[0]), &script, 1);
    ledger->swap_seconds = metrics_histogram(metrics, "redis_call_duration_seconds",
                                             "From sending a call to its answer.", bounds,
                                             sizeof(bounds) / sizeof(bounds[0]), &swap, 1);
    ledger->swap_misses = metrics_counter(metrics, "redis_swap_misses_total",
                                          "States that were not as this process wrote them last: "
                                          "the operation was asked in the general way.",
                                          NULL, 0);
    ledger->unasked = metrics_counter(metrics, "ledger_unasked_claims_total",
                                      "Claims that were kept from the key's record before, so that "
                                      "Redis was not asked.",
                                      NULL, 0);
    metric_set(ledger->up_gauge, 0);
}

struct ledger *ledger_new(struct loop *loop, const struct redis_config *config,
                          const struct ledger_events *events, struct metrics *metrics,
                          struct err *err)
{
    struct ledger *ledger = mem_zalloc(sizeof(*ledger));
    struct session_events session_events = {
        .up = on_up, .down = on_down, .wiped = on_wiped, .ctx = ledger};
    struct sentinel_events sentinel_events = {
        .master = on_master, .unknown = on_master_unknown, .ctx = ledger};
    ledger->loop = loop;
    ledger->config = config;
    if (events)
        ledger->events = *events;
    ledger->names = name_cache_new();
    ledger->swaps = swaps_new();
    loop_task_init(&ledger->pump_task, pump, ledger);
    loop_task_init(&ledger->end_task, end_ops, ledger);
    snprintf(ledger->why, sizeof(ledger->why), "not connected to Redis yet");
    init_metrics(ledger, metrics);
    holds_init(ledger);
    if (config->tls_on && !(ledger->tls = tls_new(&config->tls, err)))
        ledger_free(&ledger);
    else if (!(ledger->session = session_new(loop, config, ledger->tls, &session_events, err)))
        ledger_free(&ledger);
    else if (config->kind == REDIS_SENTINEL)
        ledger->sentinel = sentinel_new(loop, config, ledger->tls, &sentinel_events);
    else
        session_aim(ledger->session, config->unix_path, config->host, config->port, "");
    return ledger;
}

static void cancel_all(struct ledger *ledger, struct op_list *list)
{
    struct ledger_op *op;
    while ((op = list->first) != NULL) {
        list_remove(list, op);
        op->cancelled = true;
        complete(ledger, op);
    }
}

void ledger_free(struct ledger **ledger_ptr)
{
    struct ledger *ledger = *ledger_ptr;
    if (!ledger)
        return;
    ledger->up = false;
    sentinel_free(&ledger->sentinel);
    session_free(&ledger->session);
    requeue(ledger);
    requests_requeue(ledger);
    requests_cancel(ledger);
    cancel_all(ledger, &ledger->ended);
    cancel_all(ledger, &ledger->finishes);
    cancel_all(ledger, &ledger->claims);
    *ledger_ptr = NULL;
    loop_task_cancel(ledger->loop, &ledger->pump_task);
    loop_task_cancel(ledger->loop, &ledger->end_task);
    holds_deinit(ledger);
    name_cache_free(&ledger->names);
    tls_free(&ledger->tls);
    swaps_free(&ledger->swaps);
    buf_deinit(&ledger->out);
    mem_free(ledger);
}

bool ledger_is_up(const struct ledger *ledger)
{
    return ledger->up;
}

const char *ledger_why_down(const struct ledger *ledger)
{
    return ledger->up ? "" : ledger->why;
}

struct ledger_scope *ledger_scope_new(struct ledger *ledger,
                                      const struct ledger_scope_config *config)
{
    return scope_new(ledger->config, config);
}

void ledger_submit(struct ledger *ledger, struct ledger_op *op)
{
    op->cancelled = false;
    op->no_swap = false;
    op->key_hash = scope_hash_key(op->scope, op->key);
    ledger->pending++;
    if (op->origin_offset < 0 || op->origin_offset >= BATCH_OFFSET_LIMIT) {
        op->code = op->would_code = LEDGER_CORRUPT;
        op->state = OP_ENDED;
        list_push(&ledger->ended, op);
        loop_defer(ledger->loop, &ledger->end_task);
        return;
    }
    if (is_granted(ledger, op, false)) {
        end_unasked(ledger, op);
        return;
    }
    if (ledger->swaps) {
        if (op->verb == LEDGER_FINISH && op->keep_ms &&
            !swaps_worth_keeping(ledger->swaps, op, clock_mono_ns()))
            op->keep_ms = 0;
        swaps_ask(ledger->swaps, op);
    }
    op->state = OP_QUEUED;
    list_push(queue_of(ledger, op), op);
    loop_defer(ledger->loop, &ledger->pump_task);
}

void ledger_cancel(struct ledger *ledger, struct ledger_op *op)
{
    if (op->state == OP_DONE)
        return;
    op->cancelled = true;
    if (op->state != OP_QUEUED)
        return;
    list_remove(queue_of(ledger, op), op);
    op->state = OP_ENDED;
    list_push(&ledger->ended, op);
    loop_defer(ledger->loop, &ledger->end_task);
}

size_t ledger_pending(const struct ledger *ledger)
{
    return ledger->pending;
}
