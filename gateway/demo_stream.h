/* The demo's order stream: numbered orders of some customers at a steady rate, about 1 % of them
 * sent a second time. Writes down in the book what was made and what was acknowledged. */
#ifndef OG_GATEWAY_DEMO_STREAM_H
#define OG_GATEWAY_DEMO_STREAM_H

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "demo_book.h"

struct demo_stream;

/* topic has DEMO_PARTITIONS partitions. Everything is borrowed until freed. */
struct demo_stream *demo_stream_new(struct loop *loop, const struct config *config,
                                    const char *topic, struct demo_book *book,
                                    struct err *err) MUST_CHECK;
void demo_stream_free(struct demo_stream **stream);

void demo_stream_start(struct demo_stream *stream, unsigned per_second);
/* No more orders that fail for 5 s: the end should not have to wait for them. */
void demo_stream_spare(struct demo_stream *stream);
void demo_stream_stop(struct demo_stream *stream);
/* Sent and not acknowledged yet. */
size_t demo_stream_pending(const struct demo_stream *stream);
/* A record could not be produced: nothing can be proven any more. */
bool demo_stream_failed(const struct demo_stream *stream, struct err *err);

#endif
