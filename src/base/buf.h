/*
 * A growable byte buffer. Zero-initialise ({0}) or buf_init; buf_deinit frees.
 * Always NUL-terminated behind len once anything was added, so buf.data is a C string when it holds
 * text.
 */
#ifndef OG_BASE_BUF_H
#define OG_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/slice.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

void buf_init(struct buf *buf);
void buf_deinit(struct buf *buf);
void buf_grow(struct buf *buf, size_t more);

/* len = 0, keeps the memory */
static inline void buf_reset(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Borrowed until the next change. */
static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->data ? buf->data : "", buf->len};
}

/* Room for `more` bytes and the NUL. */
static inline void buf_reserve(struct buf *buf, size_t more)
{
    if (more >= buf->cap - buf->len)
        buf_grow(buf, more);
}

/* These stand here because a request is put together of some hundred small pieces: inline, a piece
 * of constant length is one or two moves. */
static inline void buf_add(struct buf *buf, const void *data, size_t len)
{
    buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

static inline void buf_add_slice(struct buf *buf, struct slice s)
{
    buf_add(buf, s.data, s.len);
}

static inline void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

static inline void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_u64(struct buf *buf, uint64_t n); /* decimal */
void buf_add_i64(struct buf *buf, int64_t n);  /* decimal */
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Adds s as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *buf, struct slice s);

/* Adds JSON text as it is, but for characters in its strings that a terminal obeys or that nobody
 * sees (utf8_is_hidden): those as \u escapes. Line feeds and the like stay: JSON has them between
 * its tokens only. */
void buf_add_visible(struct buf *buf, struct slice json);

/* Percent-encodes every byte outside unreserved (RFC 3986: ALPHA DIGIT - . _ ~) and `keep` (may be
 * ""). */
void buf_add_percent(struct buf *buf, struct slice s, const char *keep);

/* Adds the bytes and a zero, and returns where they are now: valid until the buffer grows, so room
 * for all that is kept is to be reserved first (each takes one byte more). Null stays null. */
struct slice buf_keep(struct buf *buf, struct slice s) MUST_CHECK;

#endif
