/* Load on a ledger: many keys, each of which claims and finishes one record after the other, while
 * a test does something unkind to Redis. Every operation must be done one time. */
#ifndef OG_TESTS_LEDGER_LOAD_H
#define OG_TESTS_LEDGER_LOAD_H

#include "ledger_world.h"

#define LOAD_KEYS 200

struct load_key {
    struct load *load;
    struct test_op op;
    char name[16];
    uint64_t number; /* the record at hand; those below it are finished and confirmed */
    bool idle;
};

struct load {
    struct ledger_world *world;
    struct load_key keys[LOAD_KEYS];
    bool stopping;
    unsigned long finished;  /* confirmed finishes */
    unsigned long codes[32]; /* answers by code */
    unsigned long twice;     /* operations done more than once */
};

/* Begins with record `from` of each key. */
void load_start(struct load *load, struct ledger_world *world, uint64_t from);
/* Opens the ledger of the world, starts with record 1, and runs until so many finishes. */
void load_open(struct load *load, struct ledger_world *world, unsigned long first);
/* Turns the loop until so many more finishes are confirmed. */
void load_run(struct load *load, unsigned long more);
/* Lets every key finish what it has begun. */
void load_stop(struct load *load);
/* Of the keys, how many last confirmed finishes Redis does not know (any more). */
unsigned load_forgotten(struct load *load);

#endif
