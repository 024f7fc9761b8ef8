/*
 * Copies of a record for a retry tier or the dead-letter topic: which tier is next, the headers,
 * and the write itself. A copy_job belongs to one delivery; it keeps the failure's facts between
 * the handler's answer and the write.
 */
#ifndef OG_FLOW_COPY_H
#define OG_FLOW_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/delivery.h"
#include "handler/client.h"
#include "kafka/producer.h"
#include "spool/spool.h"

struct copy_job {
    struct produce msg;
    struct header_list headers;
    enum copy_kind kind;
    int32_t tier_ms;       /* target of COPY_RETRY */
    int64_t not_before_ms; /* wall; 0: the tier's own delay counts */
    char code[ANSWER_CODE_MAX];
    char detail[ANSWER_DETAIL_MAX];
    int http_status;
    bool without_detail; /* it was too large with it */
    bool outgrown;       /* it is too large even so */
    void (*done)(struct delivery *d);
    bool spool_failed; /* it was tried: a topic that does not answer is not waited for so long */
    struct spool_op spool;
    void (*spooled)(struct delivery *d);
};

/* The delivery's job, made where it is not there yet; remembers code and detail (detail may be
 * NULL). */
struct copy_job *copy_note(struct delivery *d, const char *code, const char *detail,
                           int http_status);
void copy_set_detail(struct copy_job *job, struct slice detail);
void copy_forget(struct delivery *d);

/* The tier (ms) after a failure: the first for a first failure, else the next longer; the last
 * repeats. 0 where the route has no tiers. */
int32_t copy_next_tier(const struct delivery *d);
/* The tier itself where it is still configured, else the shortest that is not shorter, else the
 * last. */
int32_t copy_same_tier(const struct delivery *d, int32_t tier_ms);
/* The shortest tier that waits at least that long, else the last. */
int32_t copy_tier_for_wait(const struct delivery *d, int64_t wait_ms);

/* Writes the copy; done(d) runs once, later: d->copy->msg.result says how it went. */
void copy_to_tier(struct delivery *d, int32_t tier_ms, int64_t not_before_ms,
                  void (*done)(struct delivery *));
void copy_to_dlq(struct delivery *d, void (*done)(struct delivery *));

#endif
