/* Small helpers of the test tools: allocation that ends the program, clocks, growing text, base64.
 * The tools stand apart from the program's own sources on purpose: a fault there must not hide
 * itself in the instruments that look for it. */
#ifndef SUPPORT_TOOL_H
#define SUPPORT_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that grows; always followed by a NUL once something was added. */
struct text {
    char *data;
    size_t len;
    size_t cap;
};

_Noreturn void tool_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void *tool_alloc(size_t size); /* zeroed */
void *tool_resize(void *ptr, size_t size);
char *tool_copy(const char *data, size_t len); /* adds a NUL */

int64_t tool_mono_us(void);
int64_t tool_wall_ms(void);

/* Reads a decimal number; ends the program, naming `what`, where it is none. */
int64_t tool_number(const char *text, const char *what);
double tool_fraction(const char *text, const char *what);

void text_reserve(struct text *text, size_t more);
void text_add(struct text *text, const void *data, size_t len);
void text_adds(struct text *text, const char *str);
void text_addf(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string; bytes that are not printable ASCII become \u00XX. */
void text_json(struct text *text, const char *data, size_t len);
/* A JSON string of the base64 of data, or null where data is NULL. */
void text_b64(struct text *text, const void *data, size_t len);
void text_free(struct text *text);

/* Decodes into a new buffer; false where the text is no base64. */
bool tool_b64_decode(const char *b64, size_t b64_len, char **data, size_t *len);

#endif
