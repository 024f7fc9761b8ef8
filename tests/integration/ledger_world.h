/* A loop, a ledger on it and a redis-server for it, with the few moves that the tests make. */
#ifndef OG_TESTS_LEDGER_WORLD_H
#define OG_TESTS_LEDGER_WORLD_H

#include "base/loop.h"
#include "ledger/ledger.h"
#include "redis_peer.h"

struct ledger_world {
    struct redis_peer redis;
    struct redis_config config;
    char ns[8];
    struct loop *loop;
    struct ledger *ledger;
    struct ledger_scope *scope;
    struct ledger_owner owner;
    struct metrics *metrics; /* of the ledgers that are opened; NULL: none */
    bool ordered;
    enum identity_kind kind; /* of the operations that are prepared */
    uint32_t load_lease_ms;  /* 300: what was claimed at a dead server lapses soon */
    int ups, downs, wipes, holds;
    bool held;
    char why[400];
};

struct test_op {
    struct ledger_op op;
    char key[80];
    char id[40];
    int done; /* times */
    int order;
};

/* An ordered scope of that identity on group "g", topic "orders", with a cap of 5. Nothing is
 * connected yet. */
void ledger_world_init(struct ledger_world *world, enum identity_kind kind, bool ordered,
                       const char *const *redis_options);
/* Anew, where the configuration was changed in what names keys. */
void ledger_world_make_scope(struct ledger_world *world);
/* Opens the ledger; with wait, until it is up, and takes a fence. */
void ledger_world_open(struct ledger_world *world, bool wait);
void ledger_world_close(struct ledger_world *world);
void ledger_world_deinit(struct ledger_world *world);
void ledger_world_fence(struct ledger_world *world);

/* The hash that has the key's state in its field "=<key>"; where the scope has no such, the state
 * itself. Valid until the next call. */
const char *ledger_world_bucket(const struct ledger_world *world, const char *key);

/* Turns the loop until the condition holds; fails the test after sixty seconds (sentinels whose
 * votes were split wait before they try again). */
void ledger_world_until(struct ledger_world *world, bool (*condition)(void *arg), void *arg,
                        const char *what);
void ledger_world_until_up(struct ledger_world *world, bool up);
void ledger_world_until_done(struct ledger_world *world, const struct test_op *op);
/* Turns the loop for that many milliseconds, for what must not happen. */
void ledger_world_idle(struct ledger_world *world, int ms);

/* Prepares a claim or finish of record n (offset n, sequence n) of the key; submit is the caller's.
 */
void ledger_world_claim(struct ledger_world *world, struct test_op *op, const char *key,
                        uint64_t n);
void ledger_world_finish(struct ledger_world *world, struct test_op *op, const char *key,
                         uint64_t n, enum ledger_fact fact);
/* Submits, and waits for the answer. */
enum ledger_code ledger_world_run(struct ledger_world *world, struct test_op *op);
/* The same in one. */
enum ledger_code ledger_world_claimed(struct ledger_world *world, const char *key, uint64_t n);
enum ledger_code ledger_world_finished(struct ledger_world *world, const char *key, uint64_t n,
                                       enum ledger_fact fact);

#endif
