/*
 * What the two ways to write a delivery share, header lines (request.c) and events of a batch
 * (batch_event.c): the template of a route, and how a record is looked at. Not for other files.
 */
#ifndef OG_HANDLER_REQUEST_PARTS_H
#define OG_HANDLER_REQUEST_PARTS_H

#include "base/str.h"
#include "handler/request.h"
#include "handler/webhook.h"

#define KEY_MAX           128        /* a longer key goes as its hash */
#define HEADER_VALUE_MAX  (4 * 1024) /* of one record header, encoded */
#define HEADER_NAME_MAX   256
#define HEADERS_TOTAL_MAX (16 * 1024) /* of all record headers that are passed on */
#define OMITTED_MAX       8           /* names in Oncegate-Omitted */
#define TOPICS_KEPT       16

/* name: with all that stands before the value. */
#define ADD_LIT(out, text) buf_add((out), (text), sizeof(text) - 1)

/* The text of a time up to its seconds: the next time is most often in the same one. */
struct second_text {
    int64_t second;
    char text[STR_RFC3339_MAX]; /* 2026-01-02T03:04:05 */
};

/* What the requests of a topic share. */
struct topic_text {
    struct buf topic;     /* whose it is */
    struct buf beginning; /* of the idempotency text */
    struct buf source;    /* the line ce-source */
    struct buf kafka;     /* the line Kafka-Topic */
    struct buf lines; /* all that a record without a content type, no CloudEvent, has in common */
    struct buf event_source, event_topic; /* the same as members of an event, without commas */
};

struct request_template {
    struct buf fixed;        /* User-Agent and the configured lines */
    struct buf content_type; /* for records without one */
    struct slice group;      /* borrowed from the configuration, as the next */
    char *const *forward;
    size_t forward_count;
    char **attributes; /* for each of forward: its attribute's name; NULL where there are no batches
                        */
    bool hide_key, bare_key;
    struct webhook_signer *signer; /* NULL: unsigned */
    struct buf text, key;          /* of the request being written: its idempotency text, its key */
    struct second_text event_second, deadline_second;
    struct topic_text topics[TOPICS_KEPT]; /* by hash */
};

/* The record's headers that mean something, found in one pass. */
struct found {
    struct slice content_type, traceparent, tracestate; /* null: none that may be passed on */
    bool binary;     /* has ce_specversion: a CloudEvent in binary mode */
    bool structured; /* the value is a CloudEvent */
};

/* What record headers may still take, and which had to stay behind. */
struct allowance {
    size_t left;
    size_t omitted_count;
    struct slice omitted[OMITTED_MAX];
};

const struct topic_text *request_topic(struct request_template *tpl, struct slice topic);
void request_find_headers(const struct record *rec, struct found *found);
void request_omit(struct allowance *allowance, struct slice name);
/* The key as it is shown, its hash where it is long or hidden. */
void request_add_key(struct buf *out, struct slice key, bool hide);
/* RFC 3339 has four digits for the year; a record's timestamp may be anything. */
bool request_has_time(int64_t wall_ms);
void request_add_time(struct buf *out, struct second_text *cache, int64_t wall_ms);

#endif
