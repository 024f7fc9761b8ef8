/* ${NAME}, ${NAME:-default} and $$ in one scalar. */
#ifndef OG_CONFIG_EXPAND_H
#define OG_CONFIG_EXPAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define EXPAND_MAX ((size_t)256 << 10)

/*
 * Appends text to out with its variables replaced; *replaced says whether there were any. A value
 * is taken as it is: it is not read as YAML and not expanded again. A `$` before anything but `{`
 * and `$` is itself. Fails on an undefined name without default, a malformed ${ and a result above
 * EXPAND_MAX.
 */
bool expand_text(const char *text, struct buf *out, bool *replaced, struct err *err) MUST_CHECK;

#endif
