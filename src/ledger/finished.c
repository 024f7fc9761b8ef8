/*
 * A set-associative table of hashes: the oldest of a set makes room. What makes two records the
 * same is what the ledger takes for it: for a sequence or an event id the identity within its key,
 * for the others the rank alone.
 *
 * The hash is keyed by random bytes, so nobody can choose keys of records that collide: a
 * collision would settle a record that was not delivered. Must not keep pointers into an operation.
 */
#include "ledger/finished.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "ledger/scope.h"

#define SETS 16384
#define WAYS 4

/* A set of them is a cache line: each finish touches one. */
struct entry {
    uint64_t tag;     /* the half of the hash that does not choose the set */
    uint32_t until_s; /* 0: free */
    uint8_t generation;
    uint8_t fact;
};

struct finished {
    unsigned char key[16];
    struct entry sets[SETS][WAYS];
};

struct finished *finished_new(struct err *err)
{
    struct finished *finished = mem_zalloc(sizeof(*finished));
    if (RAND_bytes(finished->key, sizeof(finished->key)) == 1)
        return finished;
    mem_free(finished);
    err_set(err, ERR_INTERNAL, "no random numbers");
    return NULL;
}

void finished_free(struct finished **finished)
{
    mem_free(*finished);
    *finished = NULL;
}

/* No padding: it is hashed as bytes. */
struct what {
    struct siphash key, text; /* text: the event id, or the origin's topic */
    uint64_t scope, kind, epoch, number;
    int64_t partition, leader_epoch, offset;
};

static struct siphash hash_of(const struct finished *finished, const struct ledger_op *op)
{
    bool by_identity = op->kind == IDENTITY_SEQUENCE || op->kind == IDENTITY_EVENT_ID;
    bool by_partition = scope_is_by_partition(op->scope, op);
    struct slice text = op->kind == IDENTITY_EVENT_ID ? op->event_id : op->origin_topic;
    struct what what = {.scope = op->scope->seed, .kind = (uint64_t)op->kind};
    if (!by_partition)
        what.key = siphash(finished->key, op->key.data, op->key.len);
    if (op->kind != IDENTITY_SEQUENCE)
        what.text = siphash(finished->key, text.data, text.len);
    if (op->kind == IDENTITY_SEQUENCE || op->kind == IDENTITY_VERSION) {
        what.epoch = op->epoch;
        what.number = op->number;
    }
    what.partition = by_partition || !by_identity ? op->origin_partition : -1;
    if (!by_identity) {
        what.leader_epoch = op->origin_leader_epoch;
        what.offset = op->origin_offset;
    }
    return siphash(finished->key, &what, sizeof(what));
}

void finished_add(struct finished *finished, const struct ledger_op *op, uint64_t now_ns)
{
    if (op->verb != LEDGER_FINISH || op->source == LEDGER_REDRIVE || op->observe ||
        (op->fact != LEDGER_SUCCEEDED && op->fact != LEDGER_GIVEN_UP) ||
        (op->code != LEDGER_OK && op->code != LEDGER_LOST))
        return;
    struct siphash hash = hash_of(finished, op);
    struct entry *set = finished->sets[hash.low % SETS], *place = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == hash.high) {
            place = &set[i];
            break;
        }
        if (set[i].until_s < place->until_s)
            place = &set[i];
    }
    uint64_t life_ns = (uint64_t)op->scope->ttl_ms * NS_PER_MS;
    life_ns = life_ns < FINISHED_LIFE_NS ? life_ns : FINISHED_LIFE_NS;
    place->tag = hash.high;
    place->until_s = (uint32_t)((now_ns + life_ns) / NS_PER_S);
    place->generation = op->generation;
    place->fact = (uint8_t)op->fact;
}

bool finished_find(const struct finished *finished, const struct ledger_op *op, uint64_t now_ns,
                   enum ledger_fact *fact)
{
    if (op->verb != LEDGER_CLAIM || op->source == LEDGER_REDRIVE || op->observe ||
        (op->code != LEDGER_GO && op->code != LEDGER_INDETERMINATE))
        return false;
    struct siphash hash = hash_of(finished, op);
    const struct entry *set = finished->sets[hash.low % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag != hash.high)
            continue;
        *fact = (enum ledger_fact)set[i].fact;
        return set[i].until_s > now_ns / NS_PER_S && set[i].generation == op->generation;
    }
    return false;
}
