/*
 * What the tests of the handler client share: a loop, a host that listens on it, a client of that
 * host, and calls.
 */
#ifndef INTEGRATION_HANDLER_FIXTURE_H
#define INTEGRATION_HANDLER_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "handler_peer.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BODY      SLICE_LIT("hello")

extern struct loop *loop;
extern struct host *host;
extern struct handler_pools *pools;
extern struct handler_client *client;
extern struct handler_config config; /* the client's; change it and make_client again */
extern char url[128];
extern struct try tries[1024];
extern bool inside; /* true while the test is inside send or cancel: done must not run then */

/* Set-up and teardown of one test. */
int begin(void **state);
int end(void **state);

void make_client(uint32_t max);
void send_timed(size_t n, struct slice body, int64_t timeout_ms);
void send_one(size_t n);
/* Turns until the n-th call is done. */
const struct handler_answer *answer_of(size_t n);
/* The n-th accepted connection with a whole request in it. */
struct peer *peer_with_request(size_t n);
/* One exchange on peer n, after which its connection is idle. */
void exchange(size_t n);

#endif
