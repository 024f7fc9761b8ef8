/*
 * What can fail returns bool and fills a trailing struct err. Nothing is allocated to report an
 * error. Expected outcomes (duplicate, blocked, empty) are enums, not errors.
 */
#ifndef OG_BASE_ERR_H
#define OG_BASE_ERR_H

#include <stdbool.h>

#include "base/attr.h"

enum err_code {
    ERR_NONE = 0,
    ERR_USAGE,       /* the command line is wrong                      exit 64 */
    ERR_INPUT,       /* bad input data                                 exit 65 */
    ERR_NO_FILE,     /* no such file                                   exit 66 */
    ERR_UNAVAILABLE, /* a broker, Redis or the handler is away         exit 69 */
    ERR_INTERNAL,    /* a broken invariant, out of memory              exit 70 */
    ERR_IO,          /* disk                                           exit 74 */
    ERR_AGAIN,       /* try again                                      exit 75 */
    ERR_DENIED,      /* credentials, ACL                               exit 77 */
    ERR_CONFIG,      /* bad configuration, or the cluster does not fit exit 78 */
    ERR_LIMIT,       /* a bound that a peer controls was exceeded      exit 65 */
    ERR_PROTOCOL,    /* a peer answered what it must not               exit 69 */
    ERR_TIMEOUT,     /*                                                exit 75 */
    ERR_CANCELLED,   /* given up by the caller                         exit 75 */
};

struct err {
    enum err_code code;
    bool retriable; /* the same call may succeed later */
    bool fatal;     /* the object that reported it cannot be used any more */
    char text[500]; /* one line, for people; no trailing newline */
};

/* Fills *err (may be NULL) and returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, and marks it retriable. */
bool err_set_retriable(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "<fmt>: " before the text that stands in *err; returns false. */
bool err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *err);

/* The process exit code that belongs to the error (sysexits.h numbers). */
int err_exit_code(const struct err *err);

#endif
