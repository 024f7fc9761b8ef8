/*
 * The book of the demo: what was produced against what the handler and the dead-letter topic saw.
 * It is told facts (acknowledged, called, answered, dead letter) and judges from them alone; it
 * knows nothing of the gateway.
 */
#ifndef OG_GATEWAY_DEMO_BOOK_H
#define OG_GATEWAY_DEMO_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demo_order.h"

#define DEMO_CUSTOMERS  200
#define DEMO_PARTITIONS 4

struct demo_book;

struct demo_book *demo_book_new(void);
void demo_book_free(struct demo_book **book);

/* A new order, numbered from 0; what it is, is fixed from here on. */
uint32_t demo_book_add(struct demo_book *book, uint32_t customer, enum order_kind kind);
/* What a resend needs to know of an order. */
uint32_t demo_book_customer(const struct demo_book *book, uint32_t order);
enum order_kind demo_book_kind(const struct demo_book *book, uint32_t order);
uint64_t demo_book_sequence(const struct demo_book *book, uint32_t order);
uint32_t demo_book_orders(const struct demo_book *book);

/* The broker acknowledged the order, or its resend, at the offset. */
void demo_book_acked(struct demo_book *book, uint32_t order, bool resend, int32_t partition,
                     int64_t offset);
/* The gateway is done with everything of the partition below the offset. */
void demo_book_settled(struct demo_book *book, int32_t partition, int64_t offset);
void demo_book_dead(struct demo_book *book, uint32_t order);
void demo_book_parked(struct demo_book *book, size_t tier);

/* Reads what the handler's log has got since the last time (demo_parts.h). False: no such log. */
bool demo_book_read_log(struct demo_book *book, const char *file);
/* The gateway was killed at that moment, and the log was read since. */
void demo_book_killed(struct demo_book *book, uint64_t us);

#define DEMO_TIERS 2

/* The figures, live. */
struct demo_figures {
    uint64_t orders, acked; /* new ones: sent, acknowledged */
    uint64_t resends, resends_acked, resends_stopped;
    uint64_t calls, failed_calls; /* of the handler */
    uint64_t delivered;           /* orders with a successful call */
    uint64_t retried_inline;      /* failed calls of a first visit that were called again */
    uint64_t parked[DEMO_TIERS];  /* copies in the tiers */
    uint64_t dead;                /* orders in the dead-letter topic */
    uint64_t open_calls;
    int64_t lag; /* acknowledged records that the gateway is not done with */
};
void demo_book_figures(const struct demo_book *book, struct demo_figures *out);
uint64_t demo_book_calls(const struct demo_book *book);
/* Every acknowledged order was delivered or is a dead letter. */
bool demo_book_complete(const struct demo_book *book);

/* The judgement. */
struct demo_verdict {
    uint64_t lost;          /* acknowledged, neither delivered nor a dead letter */
    uint64_t out_of_order;  /* first deliveries that came after a later order of the customer */
    uint64_t twice_at_kill; /* delivered twice: under way at a kill */
    uint64_t twice;         /* delivered twice otherwise */
    uint64_t dead_wrongly;  /* dead letters that are no poison */
    uint64_t poison_passed; /* poison that is no dead letter */
    uint64_t open_at_kill;  /* calls that were open at a kill */
    uint64_t poison, poison_dead;
};
void demo_book_judge(const struct demo_book *book, struct demo_verdict *out);

#endif
