/*
 * Dead letters as bytes: version, time, partition, topic, then key, value and each header's name
 * and value with their lengths; the length of what is null has all bits set. Big-endian.
 */
#include "spool/spool_record.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"

#define VERSION     1
#define LENGTH_NULL UINT32_MAX

static void put32(struct buf *out, uint32_t n)
{
    uint32_t big = htobe32(n);
    buf_add(out, &big, sizeof(big));
}

static void put64(struct buf *out, uint64_t n)
{
    uint64_t big = htobe64(n);
    buf_add(out, &big, sizeof(big));
}

static void put_slice(struct buf *out, struct slice s)
{
    put32(out, slice_is_null(s) ? LENGTH_NULL : (uint32_t)s.len);
    buf_add_slice(out, s);
}

void spool_record_write(const struct spool_record *rec, struct buf *out)
{
    buf_add_char(out, VERSION);
    put64(out, (uint64_t)rec->time_ms);
    put32(out, (uint32_t)rec->partition);
    put_slice(out, slice_of(rec->topic));
    put_slice(out, rec->key);
    put_slice(out, rec->value);
    put32(out, (uint32_t)rec->header_count);
    for (size_t i = 0; i < rec->header_count; i++) {
        put_slice(out, rec->headers[i].name);
        put_slice(out, rec->headers[i].value);
    }
}

struct reader {
    struct slice left;
    bool bad;
};

static const char *take(struct reader *r, size_t len)
{
    const char *at = r->left.data;
    if (r->bad || r->left.len < len) {
        r->bad = true;
        return NULL;
    }
    r->left.data += len;
    r->left.len -= len;
    return at;
}

static uint32_t take32(struct reader *r)
{
    uint32_t big = 0;
    const char *at = take(r, sizeof(big));
    if (at)
        memcpy(&big, at, sizeof(big));
    return be32toh(big);
}

static uint64_t take64(struct reader *r)
{
    uint64_t big = 0;
    const char *at = take(r, sizeof(big));
    if (at)
        memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

static struct slice take_slice(struct reader *r, bool may_be_null)
{
    uint32_t len = take32(r);
    if (len == LENGTH_NULL) {
        r->bad = r->bad || !may_be_null;
        return SLICE_NULL;
    }
    const char *at = take(r, len);
    return (struct slice){at, at ? len : 0};
}

static void take_headers(struct reader *r, struct spool_record *out)
{
    uint32_t count = take32(r);
    struct record_header *headers;
    if (r->bad || count == 0)
        return;
    /* Each takes eight bytes at least. */
    headers = mem_try_alloc(count * sizeof(*headers), r->left.len / 8 * sizeof(*headers));
    if (!headers) {
        r->bad = true;
        return;
    }
    out->headers = headers;
    for (uint32_t i = 0; i < count; i++) {
        headers[i].name = take_slice(r, false);
        headers[i].value = take_slice(r, true);
    }
    out->header_count = r->bad ? 0 : count;
}

/* What Kafka takes for the name of a topic: nothing else was ever written here. */
static bool is_topic(struct slice name)
{
    if (name.len == 0 || name.len >= SPOOL_TOPIC_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool spool_record_read(struct slice bytes, struct spool_record *out, struct err *err)
{
    struct reader r = {.left = bytes};
    const char *version = take(&r, 1);
    struct slice topic;
    memset(out, 0, sizeof(*out));
    if (version && *version != VERSION)
        return err_set(err, ERR_INPUT, "a record of version %d, and only %d is known",
                       (unsigned char)*version, VERSION);
    out->time_ms = (int64_t)take64(&r);
    out->partition = (int32_t)take32(&r);
    topic = take_slice(&r, false);
    out->key = take_slice(&r, true);
    out->value = take_slice(&r, true);
    take_headers(&r, out);
    if (r.bad || r.left.len > 0 || out->partition < 0 || !is_topic(topic)) {
        spool_record_deinit(out);
        return err_set(err, ERR_INPUT, "no record of a dead letter");
    }
    memcpy(out->topic, topic.data, topic.len);
    return true;
}

void spool_record_deinit(struct spool_record *rec)
{
    mem_free((void *)(uintptr_t)rec->headers);
    rec->headers = NULL;
    rec->header_count = 0;
}
