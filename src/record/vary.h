/*
 * What varies in the text of a failure from one record to the next, though the failure is the same:
 * the pieces that a signature leaves out (signature.c). For this folder only.
 */
#ifndef OG_RECORD_VARY_H
#define OG_RECORD_VARY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum vary_kind {
    VARY_NOTHING,
    VARY_NUMBER, /* with separators, a sign, an exponent; an IP address with its port */
    VARY_ID,     /* UUIDs, hexadecimal runs, ids that mix letters and digits, addresses of memory */
    VARY_TIME,   /* a date, a time of day, both */
    VARY_EMAIL,
    VARY_DURATION, /* a number and a unit of time, "1m30.5s" */
    VARY_SIZE,     /* a number and a unit of bytes */
    VARY_ORDINAL,  /* 1st 2nd 3rd */
    VARY_QUOTED,
};

enum { VARY_QUOTES = 13 };

struct vary {
    struct slice text;
    size_t at;
    bool never_closed[VARY_QUOTES]; /* no closing mark stands ahead: none is searched again */
};

/* Length of the varying thing that begins at in->at; 0: none does. */
size_t vary_len(struct vary *in, enum vary_kind *kind);
/* The same, of quoted text alone. *content: what stands between the marks. */
size_t vary_quoted_len(struct vary *in, struct slice *content);

/* Plain looking about. */
char vary_peek(const struct vary *in, size_t ahead); /* NUL behind the end */
bool vary_is_digit(char c);
bool vary_is_alpha(char c);
bool vary_is_alnum(char c);
bool vary_is_blank(char c);
bool vary_after_alnum(const struct vary *in);

#endif
