/* What the test handler shall do with a request: read from the record's value or set by /_control.
 */
#ifndef SUPPORT_RULE_H
#define SUPPORT_RULE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

enum how {
    HOW_ANSWER,    /* a whole, proper answer */
    HOW_CHUNKED,   /* the same with chunked coding */
    HOW_GARBAGE,   /* bytes that are no HTTP, then close */
    HOW_HALF,      /* half a status line and header, then close */
    HOW_SHORT,     /* a body shorter than its Content-Length, then close */
    HOW_RESET,     /* a TCP reset before any byte of an answer */
    HOW_RESET_MID, /* a TCP reset in the middle of the body */
    HOW_CLOSE,     /* an orderly close without a byte */
    HOW_STALE,     /* HOW_RESET on a connection that served before, else a proper answer */
    HOW_HUGE,      /* a body of 1 GiB */
    HOW_DRIP,      /* a proper answer, one byte every 50 ms, without end in sight */
    HOW_NEVER      /* nothing, until the client gives up */
};

struct rule {
    int status; /* of the answer, or of the failing answers where fail_* is set */
    enum how how;
    int delay_ms;
    int fail_first;      /* so many first attempts fail, then 200 */
    int64_t fail_for_ms; /* attempts fail for so long after the first, then 200 */
    bool effect;         /* the effect happens although the answer does not say so */
    char *outcome;       /* Oncegate-Outcome */
    char *code;          /* Oncegate-Error-Code */
    char *retry_after;
    char *problem_type; /* a problem+json body */
    char *problem_detail;
    char *gate; /* wait until this gate is opened */

    /* of a record in a batch; the request does the worst that one of its records asks for */
    bool whole;    /* the status is the request's, not the record's */
    bool omit;     /* the results do not name the record */
    bool stranger; /* they name one that the request did not have */
    bool terse;    /* Oncegate-Outcome: success, and results of the others only */
    char *results; /* the body in place of results */
};

/* False, with the reason in *why, where the JSON is no rule. */
bool rule_parse(struct json_object *json, struct rule *rule, const char **why);
void rule_deinit(struct rule *rule);
const char *rule_how_name(enum how how);

#endif
