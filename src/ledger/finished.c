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
#define LINE 64

/* A set of them is a cache line: each finish touches one, and asks for it before. */
struct entry {
    uint64_t tag;     /* the half of the hash that does not choose the set */
    uint32_t until_s; /* 0: free */
    uint8_t generation;
    uint8_t fact;
};

struct finished {
    unsigned char key[16];
    struct entry (*sets)[WAYS]; /* in memory, from its first whole line on */
    void *memory;
};

struct finished *finished_new(struct err *err)
{
    struct finished *finished = mem_zalloc(sizeof(*finished));
    finished->memory = mem_zalloc(sizeof(struct entry[SETS][WAYS]) + LINE);
    finished->sets = (void *)(((uintptr_t)finished->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    if (RAND_bytes(finished->key, sizeof(finished->key)) == 1)
        return finished;
    finished_free(&finished);
    err_set(err, ERR_INTERNAL, "no random numbers");
    return NULL;
}

void finished_free(struct finished **finished)
{
    if (*finished)
        mem_free((*finished)->memory);
    mem_free(*finished);
    *finished = NULL;
}

/* What is hashed: the first words say which ones follow. */
struct what {
    uint64_t words[11];
    size_t count;
};

static void add(struct what *what, uint64_t word)
{
    what->words[what->count++] = word;
}

static void add_hash(struct what *what, const struct finished *finished, struct slice text)
{
    struct siphash hash = siphash(finished->key, text.data, text.len);
    add(what, hash.low);
    add(what, hash.high);
}

static struct siphash hash_of(const struct finished *finished, const struct ledger_op *op)
{
    bool by_identity = op->kind == IDENTITY_SEQUENCE || op->kind == IDENTITY_EVENT_ID;
    bool by_partition = scope_is_by_partition(op->scope, op);
    struct what what = {.count = 0};
    add(&what, op->scope->seed);
    add(&what, (uint64_t)op->kind << 1 | by_partition);
    if (!by_partition)
        add_hash(&what, finished, op->key);
    if (op->kind != IDENTITY_SEQUENCE)
        add_hash(&what, finished, op->kind == IDENTITY_EVENT_ID ? op->event_id : op->origin_topic);
    if (op->kind == IDENTITY_SEQUENCE || op->kind == IDENTITY_VERSION) {
        add(&what, op->epoch);
        add(&what, op->number);
    }
    if (by_partition || !by_identity)
        add(&what, (uint64_t)op->origin_partition);
    if (!by_identity) {
        add(&what, (uint64_t)op->origin_leader_epoch);
        add(&what, (uint64_t)op->origin_offset);
    }
    return siphash(finished->key, what.words, what.count * sizeof(what.words[0]));
}

void finished_expect(const struct finished *finished, struct ledger_op *op)
{
    op->finished_as = hash_of(finished, op);
    __builtin_prefetch(finished->sets[op->finished_as.low % SETS], 1);
}

void finished_add(struct finished *finished, const struct ledger_op *op, uint64_t now_ns)
{
    if (op->verb != LEDGER_FINISH || op->source == LEDGER_REDRIVE || op->observe ||
        (op->fact != LEDGER_SUCCEEDED && op->fact != LEDGER_GIVEN_UP) ||
        (op->code != LEDGER_OK && op->code != LEDGER_LOST))
        return;
    struct siphash hash = op->finished_as;
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
