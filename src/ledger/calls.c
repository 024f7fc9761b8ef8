/*
 * Queues of operations, and the batches that are made of them.
 *
 *   submit --> finishes, claims --pump--> calls (in flight) --answer--> done
 *                    ^                          |
 *                    +-- connection lost, -------+   (in the order in which they were sent)
 *                        slot moved
 *
 * Invariants:
 * - An operation of a key is not sent while an earlier one of that key is on its way (lanes),
 * unless both go in one batch: so neither a reconnect nor a script that must be sent again can
 * change the order of a key's operations.
 * - A batch holds finishes first, then claims; claims go only when every finish before them could.
 * - A batch is of one queue, so in a cluster of one slot.
 * - A call is of one script: swap_states for plain operations of keys whose state is known, or of
 * which nothing is, apply_ops for all others, and for those that swap_states did not find as
 * expected.
 * - `done` is called from the loop only, once; the ledger does not touch the operation after it.
 * Must not decide anything about a record: it carries facts and answers.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ledger/cluster.h"
#include "ledger/parts.h"
#include "ledger/resp.h"
#include "ledger/scope.h"

#define CALLS_MAX 8
#define CALLS_EAGER                                                                                \
    1 /* below this any operation goes at once, above it when a batch is worth a call */
#define BATCH_WORTH 32
/* Of what apply_ops is asked: Redis takes several times as long for it as for a swap, and nobody
 * else is served meanwhile. */
#define GENERAL_MAX 64
#define SCAN_MAX    512 /* queued operations looked at for one batch */

enum op_state { OP_DONE, OP_QUEUED, OP_SENT, OP_ENDED };

struct queue *calls_queue_of(struct ledger *ledger, uint64_t key_hash)
{
    return &ledger->queues[ledger->cluster ? key_hash % ledger->config->shards : 0];
}

static struct op_list *list_of(struct queue *queue, const struct ledger_op *op)
{
    return op->verb == LEDGER_FINISH ? &queue->finishes : &queue->claims;
}

static void enqueue(struct ledger *ledger, struct ledger_op *op)
{
    struct queue *queue = calls_queue_of(ledger, op->key_hash);
    op->state = OP_QUEUED;
    TAILQ_INSERT_TAIL(list_of(queue, op), op, in_list);
    queue->queued++;
}

/* Back to where it stood: before all that came later. */
static void enqueue_again(struct queue *queue, struct ledger_op *op)
{
    op->state = OP_QUEUED;
    TAILQ_INSERT_HEAD(list_of(queue, op), op, in_list);
    queue->queued++;
}

static void dequeue(struct queue *queue, struct ledger_op *op)
{
    TAILQ_REMOVE(list_of(queue, op), op, in_list);
    queue->queued--;
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

void calls_end(struct ledger *ledger, struct ledger_op *op)
{
    op->state = OP_ENDED;
    TAILQ_INSERT_TAIL(&ledger->ended, op, in_list);
    loop_defer(ledger->loop, &ledger->end_task);
}

void calls_unqueue(struct ledger *ledger, struct ledger_op *op)
{
    if (op->state == OP_DONE)
        return;
    op->cancelled = true;
    if (op->state != OP_QUEUED)
        return;
    dequeue(calls_queue_of(ledger, op->key_hash), op);
    calls_end(ledger, op);
}

void calls_end_all(struct ledger *ledger)
{
    struct ledger_op *op;
    while ((op = TAILQ_FIRST(&ledger->ended)) != NULL) {
        TAILQ_REMOVE(&ledger->ended, op, in_list);
        complete(ledger, op);
    }
}

/* ---- calls ---- */

/* A call is so large that malloc would join all small blocks that are free before it looks for one;
 * so those that ended are used again. */
static struct batch_call *call_new(struct queue *queue)
{
    struct ledger *ledger = queue->node->ledger;
    struct batch_call *call = TAILQ_FIRST(&ledger->spare_calls);
    if (call)
        TAILQ_REMOVE(&ledger->spare_calls, call, in_list);
    else
        call = mem_alloc(sizeof(*call));
    memset(call, 0, sizeof(*call));
    call->queue = queue;
    call->node = queue->node;
    return call;
}

static void call_free(struct ledger *ledger, struct batch_call *call)
{
    TAILQ_INSERT_HEAD(&ledger->spare_calls, call, in_list);
}

static void call_link(struct batch_call *call)
{
    struct queue *queue = call->queue;
    TAILQ_INSERT_TAIL(&queue->calls, call, in_list);
    queue->call_count++;
    call->node->calls++;
    for (size_t i = 0; i < call->count; i++)
        ++*lane_of(call->node->ledger, call->ops[i]);
}

static void call_unlink(struct batch_call *call)
{
    struct queue *queue = call->queue;
    TAILQ_REMOVE(&queue->calls, call, in_list);
    queue->call_count--;
    call->node->calls--;
    for (size_t i = 0; i < call->count; i++)
        --*lane_of(call->node->ledger, call->ops[i]);
}

/* What was not as expected is asked of apply_ops. */
static void ask_again(struct batch_call *call, struct ledger_op *op)
{
    struct ledger *ledger = call->node->ledger;
    op->no_swap = true;
    if (ledger->swap_misses)
        metric_add(ledger->swap_misses, 1);
    if (op->cancelled) {
        calls_end(ledger, op);
        return;
    }
    enqueue_again(call->queue, op);
}

static void call_finish(struct batch_call *call)
{
    struct ledger *ledger = call->node->ledger;
    struct metric *seconds = call->swap ? ledger->swap_seconds : ledger->call_seconds;
    call_unlink(call);
    session_is_healthy(call->node->session);
    if (seconds)
        metric_observe(seconds, (double)(clock_mono_ns() - call->sent_ns) / 1e9);
    loop_defer(ledger->loop, &ledger->pump_task);
    for (size_t i = 0; i < call->count; i++) {
        struct ledger_op *op = call->ops[i];
        if (call->swap && !call->swapped[i]) {
            ask_again(call, op);
            continue;
        }
        op->lease_deadline_ns = op->sent_ns + (uint64_t)op->lease_ms * NS_PER_MS;
        finished_add(ledger->finished, op, op->sent_ns);
        complete(ledger, op);
    }
    call_free(ledger, call);
}

/* Its operations go back to the heads of the queue; what nobody waits for any more ends. */
static void call_requeue(struct batch_call *call)
{
    struct ledger *ledger = call->node->ledger;
    call_unlink(call);
    for (size_t i = call->count; i-- > 0;) {
        struct ledger_op *op = call->ops[i];
        if (op->cancelled) {
            calls_end(ledger, op);
            continue;
        }
        enqueue_again(call->queue, op);
    }
    call_free(ledger, call);
}

void calls_requeue(struct node *node)
{
    struct ledger *ledger = node->ledger;
    for (size_t i = 0; node->calls && i < ledger->queue_count; i++) {
        struct call_list *calls = &ledger->queues[i].calls;
        for (struct batch_call *call = TAILQ_LAST(calls, call_list), *prev; call; call = prev) {
            prev = TAILQ_PREV(call, call_list, in_list);
            if (call->node == node)
                call_requeue(call);
        }
    }
    loop_defer(ledger->loop, &ledger->pump_task);
}

static bool call_send(struct batch_call *call, bool whole);

static void on_answer(void *arg, const redisReply *reply)
{
    struct batch_call *call = arg;
    struct node *node = call->node;
    struct ledger *ledger = node->ledger;
    struct err err = {0};
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        call->void_waits += call->wait;
        if (!call_send(call, true))
            session_refused(node->session, "cannot send");
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && cluster_redirects(call->queue, node, reply)) {
        /* Not executed. What WAIT says about it is of no interest, but comes. */
        if (call->wait)
            call->moved = ++call->void_waits > 0;
        else
            call_requeue(call);
        return;
    }
    if (!(call->swap ? swaps_read(ledger->states, ledger->names, reply, call->ops, call->count,
                                  call->swapped, &err)
                     : batch_read(reply, ledger->states, call->ops, call->count, &err))) {
        ledger_count_error(ledger, err.text);
        session_refused(node->session, err.text);
        return;
    }
    if (!call->wait)
        call_finish(call);
}

/* WAIT is about all that its connection has written: so a good answer stands for calls before it
 * too. */
void calls_confirm(struct node *node)
{
    struct ledger *ledger = node->ledger;
    for (size_t i = 0; i < ledger->queue_count; i++) {
        struct call_list *calls = &ledger->queues[i].calls;
        for (struct batch_call *call = TAILQ_FIRST(calls), *next; call; call = next) {
            next = TAILQ_NEXT(call, in_list);
            if (call->node == node && call->is_short)
                call_finish(call);
        }
    }
}

static void on_waited(void *arg, const redisReply *reply)
{
    struct batch_call *call = arg;
    struct node *node = call->node;
    if (call->void_waits) {
        call->void_waits--;
        if (call->moved && !call->void_waits)
            call_requeue(call);
        return;
    }
    if (!nodes_waited_for_enough(node, reply)) {
        call->is_short = true;
        nodes_unconfirmed(node, reply);
        return;
    }
    call_finish(call);
}

static bool send_wait(struct batch_call *call)
{
    struct ledger *ledger = call->node->ledger;
    buf_reset(&ledger->out);
    nodes_add_wait(&ledger->out, ledger->config);
    return session_send(call->node->session, ledger->out.data, ledger->out.len, on_waited, call);
}

static bool call_send(struct batch_call *call, bool whole)
{
    struct ledger *ledger = call->node->ledger;
    call->sent_ns = clock_mono_ns();
    for (size_t i = 0; i < call->count; i++)
        call->ops[i]->sent_ns = call->sent_ns;
    buf_reset(&ledger->out);
    if (call->swap)
        swaps_build(&ledger->out, ledger->states, ledger->names, call->ops, call->count, whole);
    else
        batch_build(&ledger->out, ledger->names, call->ops, call->count, whole);
    if (!session_send(call->node->session, ledger->out.data, ledger->out.len, on_answer, call))
        return false;
    call->wait = ledger->config->wait_replicas > 0 && call->ops[0]->verb == LEDGER_FINISH;
    return !call->wait || send_wait(call);
}

/* Is a claim that was kept for the record its answer? The time may be behind by a turn: before
 * anything is done by the claim, its end is held against the clock. */
static bool is_granted(struct ledger *ledger, struct ledger_op *op, bool first)
{
    const struct node *node = calls_queue_of(ledger, op->key_hash)->node;
    return node && node->up && op->verb == LEDGER_CLAIM && ledger->states && op->cover_ms &&
           swaps_grant(ledger->states, ledger->names, op, loop_mono_ns(ledger->loop), first);
}

static void end_unasked(struct ledger *ledger, struct ledger_op *op)
{
    if (ledger->unasked)
        metric_add(ledger->unasked, 1);
    calls_end(ledger, op);
}

void calls_take(struct ledger *ledger, struct ledger_op *op)
{
    if (is_granted(ledger, op, false)) {
        end_unasked(ledger, op);
        return;
    }
    if (ledger->states) {
        if (op->verb == LEDGER_FINISH && op->keep_ms &&
            !known_states_worth_keeping(ledger->states, op, loop_mono_ns(ledger->loop)))
            op->keep_ms = 0;
        known_states_ask(ledger->states, op);
    }
    if (op->verb == LEDGER_FINISH)
        finished_expect(ledger->finished, op);
    enqueue(ledger, op);
    loop_defer(ledger->loop, &ledger->pump_task);
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
    return ledger->states && !op->no_swap && swaps_fit(ledger->states, ledger->names, op);
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
        if (!swap && ledger->states)
            known_states_bar(ledger->states, op);
        if (!swap)
            return true; /* in one call of apply_ops a key's operations keep their order */
    }
    ++*lane;
    choice->passed[choice->passed_count++] = lane;
    return swap == call->swap;
}

static bool is_full(const struct batch_call *call)
{
    return call->count == (call->swap ? LEDGER_BATCH_MAX : GENERAL_MAX);
}

/* Moves what may go from the queue into the call. Returns false where a later operation must not go
 * either. */
static bool take(struct ledger *ledger, struct op_list *list, struct choice *choice)
{
    size_t looked = 0;
    for (struct ledger_op *op = TAILQ_FIRST(list), *next; op; op = next) {
        next = TAILQ_NEXT(op, in_list);
        if (is_full(choice->call) || looked++ == SCAN_MAX)
            return false;
        if (*lane_of(ledger, op))
            continue;
        if (is_granted(ledger, op, true)) {
            /* The finish before it, which it waited for, kept its claim. */
            dequeue(choice->call->queue, op);
            end_unasked(ledger, op);
        } else if (choose(ledger, choice, op)) {
            dequeue(choice->call->queue, op);
            op->state = OP_SENT;
        }
    }
    return true;
}

static bool may_send(const struct ledger *ledger, const struct queue *queue)
{
    return queue->queued && queue->call_count < CALLS_MAX &&
           (queue->call_count < CALLS_EAGER || queue->queued >= BATCH_WORTH) && queue->node &&
           queue->node->up && !queue->paused && cluster_is_known(ledger);
}

static bool send_next(struct ledger *ledger, struct queue *queue)
{
    if (!may_send(ledger, queue))
        return false;
    struct batch_call *call = call_new(queue);
    struct choice choice; /* its array is not to be cleared for each call */
    choice.call = call;
    choice.passed_count = 0;
    choice.decided = false;
    if (take(ledger, &queue->finishes, &choice))
        take(ledger, &queue->claims, &choice);
    while (choice.passed_count > 0)
        --*choice.passed[--choice.passed_count];
    if (!call->count) {
        call_free(ledger, call);
        return false;
    }
    call_link(call);
    if (!call_send(call, false)) {
        session_refused(queue->node->session, "cannot send");
        return false;
    }
    return true;
}

void calls_pump(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->queue_count; i++) {
        while (send_next(ledger, &ledger->queues[i]))
            continue;
    }
}

static void cancel_list(struct ledger *ledger, struct op_list *list)
{
    struct ledger_op *op;
    while ((op = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, op, in_list);
        op->cancelled = true;
        complete(ledger, op);
    }
}

void calls_init(struct ledger *ledger)
{
    TAILQ_INIT(&ledger->ended);
    TAILQ_INIT(&ledger->spare_calls);
}

void calls_open_queues(struct ledger *ledger, size_t count)
{
    ledger->queue_count = count;
    ledger->queues = mem_calloc(count, sizeof(*ledger->queues));
    for (size_t i = 0; i < count; i++) {
        TAILQ_INIT(&ledger->queues[i].finishes);
        TAILQ_INIT(&ledger->queues[i].claims);
        TAILQ_INIT(&ledger->queues[i].calls);
    }
}

void calls_deinit(struct ledger *ledger)
{
    struct batch_call *call;
    cancel_list(ledger, &ledger->ended);
    for (size_t i = 0; i < ledger->queue_count; i++) {
        cancel_list(ledger, &ledger->queues[i].finishes);
        cancel_list(ledger, &ledger->queues[i].claims);
    }
    while ((call = TAILQ_FIRST(&ledger->spare_calls)) != NULL) {
        TAILQ_REMOVE(&ledger->spare_calls, call, in_list);
        mem_free(call);
    }
    mem_free(ledger->queues);
}
