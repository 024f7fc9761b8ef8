/*
 * The headers that this program writes on its copies (retry, redrive, dead letter), all text,
 * prefix "oncegate-", each written once and replaced, never appended; and how they are read back.
 * App headers keep order and repeats. On a source topic such headers are never trusted.
 */
#ifndef OG_RECORD_HEADERS_H
#define OG_RECORD_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/record.h"

#define HEADERS_PREFIX  "oncegate-"
#define HEADERS_VERSION "1"

/* Where a record first stood: its identity for order, through every copy. */
struct origin {
    struct slice topic;
    int32_t partition;
    int32_t leader_epoch; /* -1 unknown */
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t incarnation; /* of the topic: how often it was made again and adopted */
};

/* What our headers on a copy say; slices are borrowed from the record. */
struct copy_info {
    struct slice group;
    struct slice route;
    struct origin origin;
    uint32_t attempt;           /* deliveries made so far */
    uint32_t hop;               /* how many copies were made so far: oncegate-hop */
    int64_t not_before_ms;      /* wall ms; 0: none */
    int64_t first_failed_at_ms; /* 0: never failed (a follower of a failing record) */
    int64_t last_failed_at_ms;
    struct slice error_code; /* null: none */
    struct slice error_detail;
    struct slice signature;
    int32_t http_status;       /* 0: none */
    struct slice redrive_id;   /* null: none */
    struct slice redrive_mode; /* "if-newer" | "force"; null: if-newer */
    uint32_t redrive_count;    /* redrives so far; on a redriven copy this one is counted */
    /*
     * "<topic>/<partition>/<offset>" (record/letter_state.h) of the dead letter that this is about;
     * null: none. On a redriven copy: whose state its end is written to. On a dead letter: this is
     * not another letter, but that one, which has failed again; so of a dead letter that has it, it
     * goes on to the next redriven copy as it is, and of one that has none, its own id does.
     */
    struct slice first_letter;
};

/* True if the header is one of ours or a KIP-1191 one (__dlq.errors.*). */
bool headers_is_own(struct slice name);

/*
 * Reads a copy. Fails with the name of the header that is missing or unreadable; on failure *out is
 * still filled with what could be read.
 */
bool headers_read_copy(const struct record *rec, struct copy_info *out, struct err *err) MUST_CHECK;

/* A header list under construction. Values of own headers live in its text buffer. */
struct header_list {
    struct record_header *items;
    size_t count;
    size_t cap;
    struct buf text;
};
void header_list_init(struct header_list *list);
void header_list_deinit(struct header_list *list);
void header_list_reset(struct header_list *list);
/* Appends; name and value are borrowed. */
void header_list_add(struct header_list *list, struct slice name, struct slice value);

enum copy_kind { COPY_RETRY, COPY_REDRIVE, COPY_DEAD_LETTER };

/*
 * Resets the list, then writes all headers of a copy of rec: the app's headers as they are
 * (borrowed from rec), then ours from info. identity_epoch/number: written as
 * oncegate-epoch/-sequence where has_* is set. detail_limit: error-detail is cut to that many bytes
 * at a UTF-8 boundary; 0 leaves it out. COPY_DEAD_LETTER adds the __dlq.errors.* names
 * (delivery.count at most 32767) ; COPY_REDRIVE strips the error headers.
 */
struct copy_identity {
    bool has_epoch, has_number;
    uint64_t epoch, number;
};
void headers_write_copy(struct header_list *list, enum copy_kind kind, const struct record *rec,
                        const struct copy_info *info, const struct copy_identity *identity,
                        size_t detail_limit);

/*
 * route + code + detail with numbers, UUIDs, hex ids and quoted strings taken out, as 16 hex digits
 * (of a 64-bit hash). Stable between releases.
 */
#define HEADERS_SIGNATURE_MAX 17
void headers_signature(struct slice route, struct slice code, struct slice detail,
                       char out[HEADERS_SIGNATURE_MAX]);
/*
 * What a person calls failures of that signature: code and detail by the same rules, on one line of
 * valid UTF-8 without control characters: "http-422: card <n> of customer <id> was declined". Two
 * failures of one signature may differ in what stands between < and >.
 */
#define HEADERS_TITLE_MAX 240
void headers_signature_title(struct slice code, struct slice detail, char out[HEADERS_TITLE_MAX]);

#endif
