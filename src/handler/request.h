/* The header lines of one delivery: CloudEvents binary mode, Kafka-*, Oncegate-*, Idempotency-Key,
 * the configured headers, the signature. */
#ifndef OG_HANDLER_REQUEST_H
#define OG_HANDLER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "record/headers.h"
#include "record/identity.h"
#include "record/record.h"

/* What a route's requests have in common: configured header lines and secrets, read once. */
struct request_template;
struct request_template *request_template_new(const struct route_config *route,
                                              struct err *err) MUST_CHECK;
void request_template_free(struct request_template **tpl);

struct request_facts {
    const struct record *rec; /* the consumed record (maybe a copy) */
    const struct origin
        *origin; /* Kafka-Topic/-Partition/-Offset, ce-source and ce-time are the origin's */
    const struct identity *identity;
    uint32_t attempt;         /* 1 = first */
    int64_t deadline_wall_ms; /* Oncegate-Deadline */
    bool indeterminate;       /* Oncegate-Dedup: indeterminate */
    struct slice redrive_id;  /* null: not a redrive */
};

/* Appends the lines (each with CRLF) to out, for handler_call.head. Nothing of the record is copied
 * raw. */
void request_write(struct request_template *tpl, const struct request_facts *facts,
                   struct buf *out);

#endif
