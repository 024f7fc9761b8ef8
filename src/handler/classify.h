/* From an answer to an outcome, by the route's ordered table. Pure. */
#ifndef OG_HANDLER_CLASSIFY_H
#define OG_HANDLER_CLASSIFY_H

#include "config/config.h"
#include "handler/client.h"

struct verdict {
    enum outcome outcome;
    bool breaker;               /* counts as a failure of the handler */
    bool spends_attempt;        /* false for 429/503 with Retry-After */
    bool ambiguous;             /* the effect is unknown: never retried inline */
    int64_t retry_after_ms;     /* -1: none; capped at retry.retry_after_max */
    char code[ANSWER_CODE_MAX]; /* the handler's own, else http-<status>, timeout, connect, dns,
                                   tls, reset, protocol */
};

void classify_answer(const struct route_config *route, const struct handler_answer *answer,
                     struct verdict *out);

#endif
