/*
 * What this process knows of the states of keys: those that it wrote last, or was told, of some ten
 * thousands of keys; a key may push out another. A state here is one that apply_ops writes small,
 * of a key of which nothing is parked and at most one claim is held:
 *
 *   free      16, epoch 6, last 6, last - floor 4, source 8 + 2, offset 6, leader epoch 3; time 6
 *   claimed   17, the same; offset 6, owner 8 + token 6; time 6
 *   keeping   18, the same; owner 8 + token 6; time 6
 *   new       19, epoch 6, number 6, source 8 + 2, offset 6, owner 8 + token 6; time 6
 *
 * Nothing is decided by it alone: what is wrong here costs a call of Redis that finds it so. For
 * the files of this folder. Owning thread: the worker's.
 */
#ifndef OG_LEDGER_KNOWN_STATES_H
#define OG_LEDGER_KNOWN_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/siphash.h"
#include "ledger/ledger.h"

enum { STATE_FREE = 16, STATE_CLAIMED, STATE_KEEPING, STATE_NEW }; /* how it begins */
enum {
    STATE_CORE = 36, /* what all three have in front */
    STATE_AT_EPOCH = 1,
    STATE_AT_LAST = 7,
    STATE_AT_ABOVE = 13,
    STATE_AT_SOURCE = 17,
    STATE_AT_PARTITION = 25,
    STATE_AT_OFFSET = 27,
    STATE_AT_LEADER = 33,
    STATE_TAKER = 14,
    STATE_TIME = 6,
    STATE_NEW_LEN = 1 + 6 + 6 + 10 + 6 + STATE_TAKER + STATE_TIME,
    STATE_MAX = STATE_CORE + 6 + STATE_TAKER + STATE_TIME,
};

enum known_hold {
    KNOWN_UNKNOWN, /* nothing is known of the key */
    KNOWN_OTHER,   /* but that its state is none of those above: apply_ops has to be asked */
    KNOWN_NONE,
    KNOWN_CLAIMED,
    KNOWN_NEW,  /* claimed, and nothing is known of the key but that */
    KNOWN_KEPT, /* for the successor */
    KNOWN_USED, /* the successor is on its way by the kept claim */
};

struct known_state {
    uint64_t key_hash;
    struct siphash key_check;   /* of a kept one */
    uint64_t time_ms;           /* of its claim's deadline, or when it was written; Redis' clock */
    uint64_t kept_until_ns;     /* of a kept one, by ours, from before it was sent */
    uint64_t finished_ns;       /* the last record, by ours; 0: not seen */
    uint64_t written_ns;        /* the state, by ours, from before it was sent */
    uint64_t renewed_ns;        /* its bucket's expiry, by ours, from before it was sent */
    uint8_t core[STATE_CORE];   /* its first byte means nothing */
    uint8_t taker[STATE_TAKER]; /* of a kept one */
    uint8_t hold;
    bool barred; /* apply_ops is about to change the state, or not */
    bool asked;  /* since then an operation of the key was asked for */
};

#define KNOWN_SETS (1U << 13)
#define KNOWN_WAYS 4

struct known_states {
    unsigned char secret[16]; /* hashes the keys of kept ones */
    struct known_state sets[KNOWN_SETS][KNOWN_WAYS];
};

struct known_states *known_states_new(struct err *err) MUST_CHECK;
void known_states_free(struct known_states **states);

/* Are states remembered that such an operation leaves: of a source record of an ordered sequence,
 * claimed or finished as succeeded? */
bool known_states_cover(const struct ledger_op *op);

/* Is the key's next record likely to come while a claim that this finish keeps is of use? As this
 * one did after the one before. Else nothing is kept: it would cost room, and others their time. */
bool known_states_worth_keeping(struct known_states *states, const struct ledger_op *op,
                                uint64_t now_ns);
/* The operation will be asked: until its answer nothing of its key is granted. */
void known_states_ask(struct known_states *states, const struct ledger_op *op);
/* It goes to apply_ops: what is remembered of its key means nothing until that answers. */
void known_states_bar(struct known_states *states, const struct ledger_op *op);
/* Redis told what stands there now (a plain state without a claim), or somebody is about to change
 * it. */
void known_states_learn(struct known_states *states, const struct ledger_op *op, const void *state,
                        size_t len);
/* apply_ops answered it, and told no state: the next one of the key is asked of it as well. */
void known_states_answered(struct known_states *states, const struct ledger_op *op);
void known_states_forget_all(struct known_states *states);

/* ---- for swap.c, which changes them in place ---- */

/* What is remembered of the operation's key; NULL: nothing. Inline, as the next one, since each
 * operation is looked up some eight times. */
static inline struct known_state *known_states_look(struct known_states *states,
                                                    const struct ledger_op *op)
{
    struct known_state *set = states->sets[op->key_hash % KNOWN_SETS];
    for (size_t i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return &set[i];
    }
    return NULL;
}
/* The same where its state is known. */
static inline struct known_state *known_states_find(struct known_states *states,
                                                    const struct ledger_op *op)
{
    struct known_state *known = known_states_look(states, op);
    return known && known->hold > KNOWN_OTHER ? known : NULL;
}
/* Is the kept one of the operation's very key, not only of its hash? */
bool known_states_is_key(const struct known_states *states, const struct known_state *known,
                         const struct ledger_op *op);
/* The finish left its claim for the successor; the taker is set. */
void known_states_keep(const struct known_states *states, struct known_state *known,
                       const struct ledger_op *op);

#endif
