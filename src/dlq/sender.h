/* Sends records, and waits for their acknowledgements, for one who waits (commands). */
#ifndef OG_DLQ_SENDER_H
#define OG_DLQ_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "kafka/producer.h"

/* Sends many, some of them under way at a time. */
struct dlq_sender;

struct dlq_sender *dlq_sender_new(struct loop *loop, const struct config *config,
                                  struct err *err) MUST_CHECK;
/* What is still under way is given up: its fate is unknown. */
void dlq_sender_free(struct dlq_sender **sender);
/* owner is given to release once the message has ended, also where it failed; everything in msg
 * lives as long. release may be called within this call, of earlier messages. False: nothing was
 * acknowledged for too long, and msg was not taken; release is not called for it. */
bool dlq_send(struct dlq_sender *sender, const struct produce *msg, void *owner,
              void (*release)(void *owner), struct err *err) MUST_CHECK;
/* Appends an entry to the audit log of a route's group: by user@host, action "dlq.archive", on
 * what, reason or NULL, details a JSON object or NULL. */
bool dlq_audit(struct dlq_sender *sender, const struct route_config *route, const char *by,
               const char *action, const char *on, const char *reason, const char *details,
               const char *result, struct err *err) MUST_CHECK;
/* Waits for all. sent: acknowledged so far; failed: refused, err is the first refusal's. */
bool dlq_sender_finish(struct dlq_sender *sender, uint64_t *sent, uint64_t *failed,
                       struct err *err) MUST_CHECK;

#endif
