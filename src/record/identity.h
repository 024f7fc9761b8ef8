/*
 * What makes two records the same: read from a header, a JSON pointer into the value, or the
 * timestamp, by the route's rule. Numbers are full unsigned 64-bit. Bad input is a status, not an
 * error: the route's policy decides.
 */
#ifndef OG_RECORD_IDENTITY_H
#define OG_RECORD_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/headers.h"
#include "record/record.h"

enum identity_kind {
    IDENTITY_SEQUENCE,
    IDENTITY_VERSION,
    IDENTITY_EVENT_ID,
    IDENTITY_OFFSET,
    IDENTITY_NONE,
};

enum field_from { FIELD_NONE, FIELD_KAFKA_KEY, FIELD_HEADER, FIELD_JSON, FIELD_TIMESTAMP };
struct field_source {
    enum field_from from;
    char *name; /* header name or JSON pointer (RFC 6901); owned by the configuration */
};

struct identity_rule {
    enum identity_kind kind;
    struct field_source key;    /* the order key */
    struct field_source number; /* sequence, version or event id */
    struct field_source epoch;  /* FIELD_NONE: epoch 0 */
    bool rfc3339;               /* version: the field is an RFC 3339 time, taken as ns */
};

enum identity_status {
    IDENTITY_OK,
    IDENTITY_MISSING,    /* the header or member is not there */
    IDENTITY_UNREADABLE, /* it is there and is no unsigned 64-bit number, no time, no JSON ... */
};

struct identity {
    enum identity_kind kind;
    enum identity_status status;
    uint64_t epoch;
    uint64_t number;       /* sequence or version */
    struct slice event_id; /* event-id; may point into `store` */
    struct slice key;      /* the order key; null: the source partition is one; as event_id */
    const char *problem;   /* for a status other than OK: static text for people */
    char code[32]; /* and its stable code: key-missing, epoch-unreadable, identity-missing ... */
};

/*
 * Reads the identity of rec. For a copy the rule reads the same app headers and value, which are
 * kept to the byte, so nothing is taken from our own headers. `store` (reset by this call) keeps
 * bytes that had to be decoded (JSON); it must live as long as *out. A value that is no JSON where
 * a pointer is configured: UNREADABLE. Never fails: trouble is a status.
 */
void identity_read(const struct identity_rule *rule, const struct record *rec, struct buf *store,
                   struct identity *out);

/*
 * The text of the Idempotency-Key without quotes, at most 255 bytes, parts percent-encoded. out is
 * reset first. beginning: identity_text_beginning of the group and the origin's topic, which many
 * texts share.
 *
 *   og/<group>/<topic>/<key>/<epoch>/<number>   sequence and version
 *   og/<group>/<topic>/<key>/id/<id>            event-id
 *   og/<group>/<topic>/<partition>/<offset>[@<leader epoch>]
 *                                               of the origin: other kinds, or a status not OK
 *
 * topic, partition, offset and leader epoch (where it is above 0) are the origin's. A null key is
 * written null:<partition>; a hidden one, one of more than 128 bytes, or one that makes the text
 * too long as sha256:<hex> (a key's own colon is always encoded).
 */
void identity_text(const struct identity *identity, const struct origin *origin,
                   struct slice beginning, bool hide_key, struct buf *out);

/* Adds how each text of a topic's records begins: og/<group>/<topic>/ */
void identity_text_beginning(struct slice group, struct slice topic, struct buf *out);

const char *identity_kind_name(enum identity_kind kind);

#endif
