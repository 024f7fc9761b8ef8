/*
 * Tells an outage of the handler from poison records. `failures` in a row over at least
 * `distinct_keys` keys open it; while it is open, one probe goes out every probe_every, each with
 * another key; one success closes it. Fewer keys than that failing is poison. Where 20 distinct
 * keys failed their probes it says suspect-poison and a person decides. Pure state machine; times
 * are monotonic ms passed in.
 */
#ifndef OG_HANDLER_BREAKER_H
#define OG_HANDLER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_SUSPECT_POISON };

struct breaker;

struct breaker *breaker_new(uint32_t failures, uint32_t distinct_keys, int64_t probe_every_ms);
void breaker_free(struct breaker **breaker);
enum breaker_state breaker_state(const struct breaker *breaker);
/* An answer that counts (success or a breaker failure) for a key's hash. Returns true if the state
 * changed. */
bool breaker_success(struct breaker *breaker);
bool breaker_failure(struct breaker *breaker, uint64_t key_hash, uint64_t now_ms);
/* While open: may this key go out as the probe now? Marks it as the probe in flight when it answers
 * true. */
bool breaker_try_probe(struct breaker *breaker, uint64_t key_hash, uint64_t now_ms);
/* The probe came to no answer that counts (cancelled, duplicate ...): lets another go. */
void breaker_probe_void(struct breaker *breaker);
/* ms until the next probe may go; 0: now; -1: closed. */
int64_t breaker_next_probe_ms(const struct breaker *breaker, uint64_t now_ms);
/* A person says go on (resume): closes it. */
void breaker_reset(struct breaker *breaker);

#endif
