/*
 * One HTTP/1.x answer read from bytes in the pieces in which they come, and what it means for a
 * delivery. Knows no sockets. Memory is bounded whatever the peer sends.
 */
#ifndef OG_HANDLER_HTTP_ANSWER_H
#define OG_HANDLER_HTTP_ANSWER_H

#include <http_parser.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "handler/client.h"

#define HTTP_LINE_MAX        (8 * 1024) /* one header line */
#define HTTP_HEAD_MAX        (64 * 1024) /* all header lines of an answer, interim answers included */
#define HTTP_HEADERS_MAX     100
#define HTTP_BODY_KEPT_MAX   (64 * 1024) /* of a problem+json body */
#define HTTP_HEADER_KEPT_MAX 256         /* of the value of a header that means something here */

/* The headers that are read; everything else is checked for size and forgotten. */
enum http_known_header {
    HTTP_HEADER_OUTCOME,
    HTTP_HEADER_ERROR_CODE,
    HTTP_HEADER_RETRY_AFTER,
    HTTP_HEADER_CONTENT_TYPE,
    HTTP_KNOWN_HEADERS,
};

struct http_header_value {
    char text[HTTP_HEADER_KEPT_MAX];
    uint16_t len;
    uint8_t seen; /* how many lines carried it; a repeat makes it unreadable */
    bool cut;
};

struct http_answer {
    struct http_parser parser; /* set up by the first bytes that it is asked to read */
    uint64_t max_body;
    uint64_t body_len; /* body bytes so far */
    uint32_t head_len; /* header bytes so far */
    uint32_t line_len; /* of the header line being read */
    uint16_t headers;  /* header lines so far */
    uint16_t name_len; /* of the header name being read */
    uint16_t status;   /* of the final answer, once its head is whole; else 0 */
    bool started;      /* a byte came */
    bool head_done;    /* the head of the final answer is whole */
    bool in_value;     /* the last piece of the line was of its value */
    bool whole;
    bool keep_alive;
    bool keep_body;    /* the body may tell why */
    bool keeps_bodies; /* of 2xx the whole body is wanted, up to max_body */
    bool cut;          /* the body was longer than max_body */
    uint32_t keep_max;
    int known;           /* enum http_known_header of the line being read, or -1 */
    const char *problem; /* why it is broken; static text */
    char name[32];
    struct http_header_value values[HTTP_KNOWN_HEADERS];
    struct buf body; /* its beginning, where keep_body */
};

enum http_answer_state {
    HTTP_ANSWER_MORE,
    HTTP_ANSWER_WHOLE,  /* or as much as max_body allows: then keep_alive is false */
    HTTP_ANSWER_BROKEN, /* not HTTP, or beyond a limit: `problem` says which */
};

void http_answer_init(struct http_answer *answer);
void http_answer_deinit(struct http_answer *answer);
/* Makes ready for the next answer on the connection. keeps_bodies: those of 2xx are kept as they
 * are, for the caller to read, and say no detail. */
void http_answer_begin(struct http_answer *answer, uint64_t max_body, bool keeps_bodies);

/* Bytes behind a whole answer are not read; they clear keep_alive, as nobody asked for them. */
enum http_answer_state http_answer_feed(struct http_answer *answer, const char *data, size_t len);
/* The peer closed: WHOLE where the end of the connection ends the body, else MORE. */
enum http_answer_state http_answer_eof(struct http_answer *answer);

/* The status of a whole head, else 0. */
int http_answer_status(const struct http_answer *answer);
/*
 * What a WHOLE answer says: error (OK, or PROTOCOL where Oncegate-Outcome cannot be read), status,
 * outcome, code, detail, retry_after_ms. The other members of *out are left as they are.
 */
void http_answer_read(const struct http_answer *answer, int64_t wall_ms,
                      struct handler_answer *out);

/* One of the words of Oncegate-Outcome. */
bool http_answer_outcome(struct slice s, enum outcome *out) MUST_CHECK;
/* Seconds or an HTTP date, as ms from now; -1: neither. */
int64_t http_answer_retry_after(struct slice s, int64_t wall_ms);

#endif
