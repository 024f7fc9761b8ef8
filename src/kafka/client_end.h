/*
 * The end of a client of librdkafka, which may take longer than anybody waits. Any thread.
 */
#ifndef OG_KAFKA_CLIENT_END_H
#define OG_KAFKA_CLIENT_END_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct rd_kafka_s;       /* rd_kafka_t */
struct rd_kafka_queue_s; /* rd_kafka_queue_t */

/*
 * Ends the client, which is not the caller's any more, on a thread; waits for that no longer than
 * limit_ms (0: not at all).
 * before(arg), or NULL: what must be over first (threads that use the client); runs there.
 * events, or NULL: the client leaves its group first, and its events are answered from there; the
 * queue is destroyed.
 */
void client_end(struct rd_kafka_s *rk, struct rd_kafka_queue_s *events, void (*before)(void *arg),
                void *arg, int64_t limit_ms);

/* The same of a client whose messages are still in use: it leaves its group, and ends after
 * client_end_unused, which is called once, when they were destroyed. */
struct ending;
struct ending *client_end_in_use(struct rd_kafka_s *rk, struct rd_kafka_queue_s *events,
                                 void (*before)(void *arg), void *arg) MUST_CHECK;
void client_end_unused(struct ending *ending);

/*
 * For the end of the process: waits until every client has ended, for limit_ms at most. Names those
 * that have not, and returns false: the process must then end by _exit, since their threads use
 * what exit takes down.
 */
bool kafka_clients_wait(int64_t limit_ms) MUST_CHECK;

#endif
