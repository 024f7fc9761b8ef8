/* Asks the gateway's admin port for /status and /metrics, one question at a time, and keeps the
 * last answers. */
#ifndef OG_GATEWAY_DEMO_PROBE_H
#define OG_GATEWAY_DEMO_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "demo_book.h"

struct demo_probe;

struct demo_gateway_state {
    bool answers; /* the last question was answered */
    bool ready;
    bool breaker_open;
    char state[32]; /* of the route: running, breaker-open, joining ... */
};

/* Settled offsets of topic go to the book. */
struct demo_probe *demo_probe_new(struct loop *loop, uint16_t port, const char *topic,
                                  struct demo_book *book);
void demo_probe_free(struct demo_probe **probe);
/* Asks now, unless an answer is awaited. */
void demo_probe_ask(struct demo_probe *probe);
/* What was answered before is another process' word. */
void demo_probe_forget(struct demo_probe *probe);
const struct demo_gateway_state *demo_probe_state(const struct demo_probe *probe);

#endif
