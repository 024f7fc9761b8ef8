/* Base64 (RFC 4648, section 4, with padding). */
#ifndef OG_BASE_BASE64_H
#define OG_BASE_BASE64_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/slice.h"

void base64_encode(struct buf *out, struct slice s);
/* Both append, at least the NUL behind nothing. False where s is not the one encoding of some
 * bytes; out may then hold a part. */
bool base64_decode(struct buf *out, struct slice s) MUST_CHECK;

#endif
