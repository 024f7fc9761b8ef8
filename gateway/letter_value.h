/* The bytes of a record's value for people: JSON laid out, text, or hex; which of them is said. */
#ifndef OG_GATEWAY_LETTER_VALUE_H
#define OG_GATEWAY_LETTER_VALUE_H

#include "base/buf.h"
#include "base/slice.h"

enum value_kind { VALUE_NULL, VALUE_EMPTY, VALUE_JSON, VALUE_TEXT, VALUE_BINARY };

enum value_kind letter_value_kind(struct slice value);
/* "JSON, 120 bytes", "binary, 12 bytes (begins as a schema registry's: schema 7)" */
void letter_value_say(struct slice value, struct buf *out);
/* Safe text with line feeds, at most about `most` bytes of it, and what is left out. */
void letter_value_show(struct slice value, size_t most, struct buf *out);

#endif
