/* Keys that claim and finish; see ledger_load.h. */
#include "ledger_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void next_claim(struct load_key *key);

static void on_done(struct ledger_op *op)
{
    struct load_key *key = op->arg;
    struct load *load = key->load;
    load->twice += key->op.done++ > 0;
    load->codes[op->code & 31]++;
    if (op->verb == LEDGER_FINISH) {
        load->finished++;
        key->number++;
        next_claim(key);
    } else if (op->code == LEDGER_GO || op->code == LEDGER_INDETERMINATE) {
        ledger_world_finish(load->world, &key->op, key->name, key->number, LEDGER_SUCCEEDED);
        op->done = on_done;
        op->arg = key;
        ledger_submit(load->world->ledger, op);
    } else {
        /* BUSY: a claim whose end was lost with a server lapses. */
        next_claim(key);
    }
}

static void next_claim(struct load_key *key)
{
    struct load *load = key->load;
    if (load->stopping) {
        key->idle = true;
        return;
    }
    ledger_world_claim(load->world, &key->op, key->name, key->number);
    key->op.op.lease_ms = load->world->load_lease_ms;
    key->op.op.done = on_done;
    key->op.op.arg = key;
    ledger_submit(load->world->ledger, &key->op.op);
}

void load_start(struct load *load, struct ledger_world *world, uint64_t from)
{
    memset(load, 0, sizeof(*load));
    load->world = world;
    for (int i = 0; i < LOAD_KEYS; i++) {
        struct load_key *key = &load->keys[i];
        key->load = load;
        key->number = from;
        snprintf(key->name, sizeof(key->name), "k%d", i);
        next_claim(key);
    }
}

struct goal {
    struct load *load;
    unsigned long finished;
};

static bool is_reached(void *arg)
{
    struct goal *goal = arg;
    return goal->load->finished >= goal->finished;
}

void load_run(struct load *load, unsigned long more)
{
    struct goal goal = {load, load->finished + more};
    ledger_world_until(load->world, is_reached, &goal, "finishes");
}

void load_open(struct load *load, struct ledger_world *world, unsigned long first)
{
    ledger_world_open(world, true);
    load_start(load, world, 1);
    load_run(load, first);
}

static bool all_idle(void *arg)
{
    struct load *load = arg;
    for (int i = 0; i < LOAD_KEYS; i++) {
        if (!load->keys[i].idle)
            return false;
    }
    return true;
}

void load_stop(struct load *load)
{
    load->stopping = true;
    ledger_world_until(load->world, all_idle, load, "every key idle");
    assert_int_equal(load->twice, 0);
    assert_int_equal(ledger_pending(load->world->ledger), 0);
}

unsigned load_forgotten(struct load *load)
{
    unsigned forgotten = 0;
    for (int i = 0; i < LOAD_KEYS; i++) {
        struct load_key *key = &load->keys[i];
        struct test_op op;
        ledger_world_claim(load->world, &op, key->name, key->number - 1);
        enum ledger_code code = ledger_world_run(load->world, &op);
        forgotten += code != LEDGER_DUP;
        if (code == LEDGER_GO)
            assert_int_not_equal(
                ledger_world_finished(load->world, key->name, key->number - 1, LEDGER_RELEASE),
                LEDGER_REFUSED);
    }
    return forgotten;
}
