/*
 * Batches: deliveries that may go to the handler at the same time go in one request
 * (handler.batch.max_records above 1), and each goes on by what the answer says of it.
 *
 *   granted ─► gathered ─┬─► request of up to max_records ─► answer ─┬─► result of the record
 *              alone ────┴─► request of one                          └─► the request's, of all
 *
 * Nothing is waited for: what is gathered in a turn of the loop goes out at its end, as long as one
 * of max_in_flight requests is free. A lane has one delivery at a time, so a request has at most
 * one record of each key, and no record's end depends on another's. Owning thread: the worker's.
 */
#ifndef OG_FLOW_BATCH_H
#define OG_FLOW_BATCH_H

#include <stdint.h>

struct batches;
struct delivery;
struct route;

struct batches *batches_new(struct route *route, uint32_t requests_max);
/* No request is open any more. */
void batches_free(struct batches **batches);
/* The delivery may be sent: as attempt_start has it. */
void batch_add(struct delivery *d);
/* A drain has begun: what was not sent yet gives its claim back, and is not waited for. */
void batch_let_go(struct route *route);
/* Requests under way are given up, their effect is unknown; what is gathered is dropped. */
void batch_cancel_all(struct route *route);

#endif
