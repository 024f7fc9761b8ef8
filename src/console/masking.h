/*
 * What of a record is hidden from whom may not see it: members of the value by JSON pointer, record
 * headers by name. Fails closed: a value in which the pointers cannot be looked up is hidden whole.
 * payload.c is the one place where payloads become JSON, and asks here; there is no way round it.
 */
#ifndef OG_CONSOLE_MASKING_H
#define OG_CONSOLE_MASKING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/slice.h"
#include "config/config.h"

/* Deeper values are hidden whole. */
#define MASKING_DEPTH 64
#define MASKING_TEXT  "***"

struct masking {
    const struct console_config *config; /* borrowed */
};

/* Whether anything of values, or of headers, is hidden from those without the right. */
bool masking_hides_values(const struct masking *masking);
bool masking_hides_headers(const struct masking *masking);
bool masking_hides_header(const struct masking *masking, struct slice name);

enum masking_result {
    MASKING_DONE,    /* out is the value with what is hidden replaced */
    MASKING_NO_JSON, /* the pointers cannot be looked up: nothing of it may be shown */
};

/* The JSON text with every place that a pointer leads to replaced by "***"; the places as pointers
 * are added to `places`, as elements of a JSON array, comma between. */
enum masking_result masking_value(const struct masking *masking, struct slice value,
                                  struct buf *out, struct buf *places) MUST_CHECK;

#endif
