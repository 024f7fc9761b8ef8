/*
 * States of redriven letters; see redriven.h.
 * Invariants: the state is acknowledged before the ledger hears of the end, so whatever the ledger
 * calls done has its state (with `delivery: at-most-once` only where the process lived: the ledger
 * hears before the delivery, the state follows the answer, and a kill in between leaves none);
 * while it cannot be written the record is held, and with it its key and its partition's watermark,
 * and nothing else. Must not: decide how a record ends.
 */
#include "flow/redriven.h"

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/backoff.h"
#include "flow/copy.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/worker_state.h"

struct redriven {
    struct slice letter; /* borrowed from the record */
    bool told;
    struct letter_state state;
    enum ledger_fact fact;
    void (*next)(struct delivery *d); /* once the state is written */
    struct produce msg;
    struct buf value;
};

static void send(struct delivery *d);

void redriven_taken(struct delivery *d, struct slice first_letter)
{
    struct letter_id id;
    struct err err = {0};
    if (d->redrive_count == 0)
        d->redrive_count = 1; /* this one */
    if (slice_is_null(first_letter))
        return;
    if (!letter_id_read(first_letter, &id, &err)) {
        log_warn("letter_not_named", LOG_STR("route", d->route->config->name),
                 LOG_SLICE("topic", d->rec.topic), LOG_INT("partition", d->rec.partition),
                 LOG_INT("offset", d->rec.offset), LOG_STR("error", err.text),
                 LOG_STR("then", "it is delivered, and no letter's state is written"), LOG_END);
        return;
    }
    d->redriven = mem_zalloc(sizeof(*d->redriven));
    d->redriven->letter = first_letter;
}

void redriven_forget(struct delivery *d)
{
    if (!d->redriven)
        return;
    buf_deinit(&d->redriven->value);
    mem_free(d->redriven);
    d->redriven = NULL;
}

struct slice redriven_letter(const struct delivery *d)
{
    return d->redriven ? d->redriven->letter : SLICE_NULL;
}

static void send_again(void *arg)
{
    struct delivery *d = arg;
    loop_timer_deinit(&d->timer); /* the timer is the wait's again */
    d->has_timer = false;
    if (d->part->gone && !d->once) {
        delivery_drop(d);
        return;
    }
    send(d);
}

/* As with a copy that cannot be written: its claim may lapse, the lane waits with it. */
static void not_written(struct delivery *d)
{
    const struct produce *msg = &d->redriven->msg;
    log_error("letter_state_not_written", LOG_STR("route", d->route->config->name),
              LOG_STR("topic", msg->topic), LOG_SLICE("letter", d->redriven->letter),
              LOG_STR("result", letter_result_name(d->redriven->state.result)),
              LOG_STR("error", msg->err.text),
              LOG_STR("hint", "`oncegate topics plan` tells what is missing"), LOG_END);
    if (delivery_unwanted(d) && !d->once) {
        delivery_drop(d);
        return;
    }
    if (!d->once) /* else a drain waits for it: nobody will consume it again */
        step_end(d);
    d->state = DELIVERY_WAITING;
    d->wait = WAIT_STATE;
    if (d->has_timer)
        loop_timer_deinit(&d->timer);
    loop_timer_init(&d->timer, d->route->loop, send_again, d);
    d->has_timer = true;
    loop_timer_set_ms(&d->timer, BACKOFF_PRODUCE_MS);
}

static void produced(struct produce *msg)
{
    struct delivery *d = msg->arg;
    if (msg->result == PRODUCE_CANCELLED) {
        delivery_drop(d);
        return;
    }
    if (msg->result != PRODUCE_ACKED) {
        not_written(d);
        return;
    }
    CRASH_POINT("state-acknowledged");
    d->redriven->told = true;
    route_metrics_redriven(&d->route->metrics, letter_result_name(d->redriven->state.result));
    d->redriven->next(d);
}

static void send(struct delivery *d)
{
    struct redriven *redriven = d->redriven;
    step_begin(d, DELIVERY_TELLING);
    redriven->state.at_ms = clock_wall_ms();
    buf_reset(&redriven->value);
    letter_state_write(&redriven->value, &redriven->state);
    redriven->msg = (struct produce){.topic = d->route->letter_states,
                                     .partition = LETTER_STATE_PARTITION,
                                     .key = redriven->letter,
                                     .value = buf_slice(&redriven->value),
                                     .done = produced,
                                     .arg = d};
    kafka_producer_send(d->route->worker->producer, &redriven->msg);
}

/* True: it is on its way, which it is once. */
static bool tell(struct delivery *d, enum letter_result result, void (*next)(struct delivery *d))
{
    struct redriven *redriven = d->redriven;
    bool failed = result == LETTER_RESULT_FAILED;
    if (redriven->told)
        return false;
    redriven->next = next;
    redriven->state = (struct letter_state){
        .status = failed ? LETTER_OPEN : LETTER_RESOLVED,
        .result = result,
        .redrive_id = d->redrive_id,
        .redrive_count = d->redrive_count,
        .by = SLICE_LIT("gateway"),
        .code = failed && d->copy && d->copy->code[0] ? slice_of(d->copy->code) : SLICE_NULL};
    send(d);
    return true;
}

static void finish(struct delivery *d)
{
    delivery_finish(d, d->redriven->fact);
}

bool redriven_before_finish(struct delivery *d, enum ledger_fact fact)
{
    d->redriven->fact = fact;
    if (fact == LEDGER_SUCCEEDED)
        return tell(d, LETTER_RESULT_RESOLVED, finish);
    return tell(d, d->purpose == COPY_TO_DLQ ? LETTER_RESULT_FAILED : LETTER_RESULT_DROPPED,
                finish);
}

bool redriven_before_settle(struct delivery *d, enum ledger_code code,
                            void (*next)(struct delivery *d))
{
    switch (code) {
    case LEDGER_MOVED_ON:
        return tell(d, LETTER_RESULT_SUPERSEDED, next);
    case LEDGER_DUP_PARKED:
        return tell(d, LETTER_RESULT_DUPLICATE, next);
    default: /* DUP: this redrive of it has ended before, and was told of before that */
        return false;
    }
}
