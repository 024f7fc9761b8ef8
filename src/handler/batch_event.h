/*
 * The body of a batch: records as CloudEvents 1.0 in the JSON format, in an array (the format's
 * section 4, JSON batch), and the head of the request that carries them.
 */
#ifndef OG_HANDLER_BATCH_EVENT_H
#define OG_HANDLER_BATCH_EVENT_H

#include "base/buf.h"
#include "handler/request.h"

/*
 * Appends one event, an object. ids gets the bytes of its id appended: what the answer calls it by.
 * The template is of a route with batches.
 */
void batch_event_write(struct request_template *tpl, const struct request_facts *facts,
                       struct buf *out, struct buf *ids);

/* Appends the header lines of the request; ids: those of all its events. */
void batch_head_write(struct request_template *tpl, int64_t deadline_wall_ms, struct slice body,
                      struct slice ids, struct buf *out);

#endif
