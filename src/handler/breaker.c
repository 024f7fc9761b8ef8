/*
 * Tells an outage from poison. Closed, it counts failures in a row and the distinct keys among
 * them; any success ends the run. Open, it hands out probes one at a time, at most one in
 * probe_every, each to a key that did not fail a probe lately.
 *
 *              failures in a row over enough keys          20 keys failed their probes
 *      CLOSED ------------------------------------> OPEN ------------------------------>
 * SUSPECT_POISON ^                                            | |
 *        +------------------- a success, or a person says so ----------------------------------+
 *
 * SUSPECT_POISON is what a person is told; probes go on, so that a long outage still heals by
 * itself.
 *
 * Answers that come while it is open and are not the probe's belong to requests sent before it
 * opened: a success closes it, a failure is no news.
 */
#include "handler/breaker.h"

#include <string.h>

#include "base/mem.h"

#define SUSPECT_KEYS 20

struct breaker {
    uint32_t failures, distinct_keys;
    uint64_t probe_every_ms;
    enum breaker_state state;

    uint32_t run;       /* failures in a row */
    uint64_t *run_keys; /* the distinct keys of the run, up to distinct_keys */
    uint32_t run_key_count;

    bool probing; /* a probe is in flight */
    uint64_t probe_key;
    uint64_t probe_sent_ms;
    uint64_t next_probe_ms;
    uint64_t probed[SUSPECT_KEYS]; /* the keys that failed a probe, as a ring */
    uint32_t probed_at;
    uint32_t probed_count;
};

struct breaker *breaker_new(uint32_t failures, uint32_t distinct_keys, int64_t probe_every_ms)
{
    struct breaker *breaker = mem_zalloc(sizeof(*breaker));

    breaker->failures = failures;
    breaker->distinct_keys = distinct_keys;
    breaker->probe_every_ms = probe_every_ms > 0 ? (uint64_t)probe_every_ms : 0;
    breaker->run_keys = mem_calloc(distinct_keys ? distinct_keys : 1, sizeof(*breaker->run_keys));
    return breaker;
}

void breaker_free(struct breaker **breaker)
{
    if (!*breaker)
        return;
    mem_free((*breaker)->run_keys);
    mem_free(*breaker);
    *breaker = NULL;
}

enum breaker_state breaker_state(const struct breaker *breaker)
{
    return breaker->state;
}

static bool has_key(const uint64_t *keys, uint32_t count, uint64_t key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i] == key)
            return true;
    }
    return false;
}

static void open_it(struct breaker *breaker, uint64_t now_ms)
{
    breaker->state = BREAKER_OPEN;
    breaker->next_probe_ms = now_ms + breaker->probe_every_ms;
    breaker->probing = false;
    breaker->probed_at = 0;
    breaker->probed_count = 0;
}

static bool close_it(struct breaker *breaker)
{
    breaker->run = 0;
    breaker->run_key_count = 0;
    breaker->probing = false;
    if (breaker->state == BREAKER_CLOSED)
        return false;
    breaker->state = BREAKER_CLOSED;
    return true;
}

bool breaker_success(struct breaker *breaker)
{
    return close_it(breaker);
}

static bool fail_closed(struct breaker *breaker, uint64_t key_hash, uint64_t now_ms)
{
    if (breaker->run < UINT32_MAX)
        breaker->run++;
    if (breaker->run_key_count < breaker->distinct_keys &&
        !has_key(breaker->run_keys, breaker->run_key_count, key_hash))
        breaker->run_keys[breaker->run_key_count++] = key_hash;
    if (breaker->run < breaker->failures || breaker->run_key_count < breaker->distinct_keys)
        return false;
    open_it(breaker, now_ms);
    return true;
}

static bool fail_probe(struct breaker *breaker, uint64_t now_ms)
{
    breaker->probing = false;
    breaker->next_probe_ms = breaker->probe_sent_ms + breaker->probe_every_ms;
    if (breaker->next_probe_ms < now_ms)
        breaker->next_probe_ms = now_ms;
    if (has_key(breaker->probed, breaker->probed_count, breaker->probe_key))
        return false;
    breaker->probed[breaker->probed_at] = breaker->probe_key;
    breaker->probed_at = (breaker->probed_at + 1) % SUSPECT_KEYS;
    if (breaker->probed_count < SUSPECT_KEYS)
        breaker->probed_count++;
    if (breaker->probed_count < SUSPECT_KEYS || breaker->state == BREAKER_SUSPECT_POISON)
        return false;
    breaker->state = BREAKER_SUSPECT_POISON;
    return true;
}

bool breaker_failure(struct breaker *breaker, uint64_t key_hash, uint64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED)
        return fail_closed(breaker, key_hash, now_ms);
    if (breaker->probing && key_hash == breaker->probe_key)
        return fail_probe(breaker, now_ms);
    return false;
}

bool breaker_try_probe(struct breaker *breaker, uint64_t key_hash, uint64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED || breaker->probing || now_ms < breaker->next_probe_ms)
        return false;
    /* A key that failed its probe leaves the next to others; if none came forward it may try again.
     */
    if (has_key(breaker->probed, breaker->probed_count, key_hash) &&
        now_ms < breaker->next_probe_ms + breaker->probe_every_ms)
        return false;
    breaker->probing = true;
    breaker->probe_key = key_hash;
    breaker->probe_sent_ms = now_ms;
    return true;
}

void breaker_probe_void(struct breaker *breaker)
{
    breaker->probing = false;
}

int64_t breaker_next_probe_ms(const struct breaker *breaker, uint64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED)
        return -1;
    if (breaker->probing) /* its answer comes first; look again then, or after one interval */
        return (int64_t)breaker->probe_every_ms;
    return now_ms < breaker->next_probe_ms ? (int64_t)(breaker->next_probe_ms - now_ms) : 0;
}

void breaker_reset(struct breaker *breaker)
{
    close_it(breaker);
}
