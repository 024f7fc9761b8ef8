/*
 * Reads the packed state of a key, for `ledger get`.
 * The bytes come from outside: every read is checked against the end, and nothing is believed about
 * counts.
 */
#include "ledger/state.h"

#include <inttypes.h>
#include <stdint.h>

enum { BLOCK_SEQUENCE = 1, BLOCK_VERSION = 2, BLOCK_RANGES = 3 };
enum { FLAG_GENERATION = 1, FLAG_MARKS = 2, FLAG_TOMBSTONES = 4, FLAG_PARKED = 8 };
enum {
    FLAG_WINDOW = 16,
    FLAG_PREVIOUS = 32,
    FLAG_FLOOR = 16,
    FLAG_HIGHEST = 32,
    FLAG_SUCCEEDED = 64,
    FLAG_SUCCEEDED_SAME = 128
};
enum { CUT = 4, PREV_CUT = 8 };
enum { MINUS_FLOOR = 16, MINUS_MARK = 32, MINUS_PREV_FLOOR = 64, MINUS_PREV_MARK = 128 };
enum { CLAIM_BYTES = 59 };

struct reader {
    const unsigned char *at;
    size_t left;
    bool bad;
    struct buf *out;
};

static uint64_t number(struct reader *r, unsigned bytes)
{
    uint64_t n = 0;
    if (r->left < bytes) {
        r->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | *r->at++;
    r->left -= bytes;
    return n;
}

static void skip(struct reader *r, size_t bytes)
{
    if (r->left < bytes) {
        r->bad = true;
        return;
    }
    r->at += bytes;
    r->left -= bytes;
}

static void say_number(struct reader *r, const char *name, uint64_t n, bool none)
{
    if (none)
        buf_printf(r->out, "%s: none\n", name);
    else
        buf_printf(r->out, "%s: %" PRIu64 "\n", name, n);
}

static void read_epoch(struct reader *r, const char *which, bool no_floor, bool no_mark)
{
    uint64_t epoch = number(r, 8), floor = number(r, 8), mark = number(r, 8);
    buf_printf(r->out, "%s epoch: %" PRIu64 "\n", which, epoch);
    say_number(r, "  seen without a gap up to", mark, no_mark);
    say_number(r, "  unknown at or below", floor, no_floor);
}

static void read_window(struct reader *r)
{
    uint64_t window = number(r, 8);
    buf_add_text(r->out, "  seen beyond that:");
    for (unsigned i = 0; i < 64; i++) {
        if (window >> i & 1)
            buf_printf(r->out, " +%u", i + 1);
    }
    buf_add_text(r->out, "\n");
}

static void read_sequence(struct reader *r, unsigned minus, unsigned flags)
{
    buf_add_text(r->out, "identity: sequence\n");
    read_epoch(r, "current", minus & MINUS_FLOOR, minus & MINUS_MARK);
    if (flags & FLAG_WINDOW)
        read_window(r);
    if (flags & FLAG_PREVIOUS) {
        read_epoch(r, "previous", minus & MINUS_PREV_FLOOR, minus & MINUS_PREV_MARK);
        read_window(r);
    }
    if (flags & FLAG_SUCCEEDED) {
        uint64_t epoch = number(r, 8), n = number(r, 8);
        buf_printf(r->out, "highest that succeeded: epoch %" PRIu64 " number %" PRIu64 "\n", epoch,
                   n);
    } else if (flags & FLAG_SUCCEEDED_SAME) {
        buf_add_text(r->out, "highest that succeeded: the last seen without a gap\n");
    }
}

static void read_version(struct reader *r, unsigned flags)
{
    buf_add_text(r->out, "identity: version\n");
    if (flags & FLAG_FLOOR)
        say_number(r, "unknown at or below", number(r, 8), false);
    if (flags & FLAG_HIGHEST) {
        say_number(r, "highest done", number(r, 8), false);
        skip(r, 20);
    }
    if (flags & FLAG_SUCCEEDED)
        say_number(r, "highest that succeeded", number(r, 8), false);
    else if (flags & FLAG_SUCCEEDED_SAME)
        buf_add_text(r->out, "highest that succeeded: the same\n");
}

static void read_ranges(struct reader *r)
{
    uint64_t floor = number(r, 8), count = number(r, 1);
    buf_printf(r->out, "identity: offset\nunknown below offset: %" PRIu64 "\n", floor);
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        uint64_t first = number(r, 8), last = number(r, 8);
        skip(r, 4);
        buf_printf(r->out, "seen: offsets %" PRIu64 " to %" PRIu64 "\n", first, last);
    }
}

static void read_marks(struct reader *r)
{
    uint64_t count = number(r, 1);
    bool floors = count >= 128;
    count = floors ? count - 128 : count;
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        skip(r, 8);
        uint64_t partition = number(r, 4), offset = number(r, 8);
        int64_t epoch = (int64_t)number(r, 4) - 1;
        buf_printf(r->out,
                   "finished up to: source partition %" PRIu64 " offset %" PRIu64
                   " leader epoch %" PRId64,
                   partition, offset, epoch);
        uint64_t floor = floors ? number(r, 8) : 0;
        if (floor)
            buf_printf(r->out, " (not proven below offset %" PRIu64 ")", floor);
        buf_add_text(r->out, "\n");
    }
}

static void read_identity(struct reader *r)
{
    static const char *const kinds[] = {"sequence", "version", "event-id", "offset", "none"};
    uint64_t kind = number(r, 1), epoch = number(r, 8), n = number(r, 8);
    const char *name = kind < 5 ? kinds[kind] : "unknown";
    if (kind == 0)
        buf_printf(r->out, ", %s %" PRIu64 " of epoch %" PRIu64, name, n, epoch);
    else
        buf_printf(r->out, ", %s %" PRIu64, name, n);
}

static void read_head(struct reader *r)
{
    uint64_t count = number(r, 4);
    skip(r, 8);
    uint64_t partition = number(r, 4), offset = number(r, 8);
    skip(r, 4);
    buf_printf(r->out,
               "parked: %" PRIu64 "\nfirst parked: source partition %" PRIu64 " offset %" PRIu64,
               count, partition, offset);
    read_identity(r);
    uint64_t tier = number(r, 4), copy = number(r, 8), hop = number(r, 4), expires = number(r, 6);
    if (hop == UINT32_MAX) {
        buf_printf(r->out,
                   ", a dead letter (offset %" PRIu64
                   " of its topic) that blocks the key: redrive it, or `oncegate ledger release`\n",
                   copy);
        return;
    }
    buf_printf(r->out,
               ", in the tier of %" PRIu64 " ms at offset %" PRIu64 ", hop %" PRIu64
               ", until %" PRIu64 " ms\n",
               tier, copy, hop, expires);
}

static void read_claims(struct reader *r)
{
    while (r->left >= CLAIM_BYTES) {
        skip(r, 8);
        uint64_t partition = number(r, 4), offset = number(r, 8);
        skip(r, 8);
        uint64_t token = number(r, 8);
        buf_printf(r->out, "claimed: source partition %" PRIu64 " offset %" PRIu64, partition,
                   offset);
        read_identity(r);
        uint64_t deadline = number(r, 6);
        buf_printf(r->out, ", token %" PRIu64 ", until %" PRIu64 " ms\n", token, deadline);
    }
    r->bad = r->bad || r->left > 0;
}

static void read_state(struct reader *r)
{
    unsigned version = (unsigned)number(r, 1), block = (unsigned)number(r, 1),
             flags = (unsigned)number(r, 1);
    if (version != 1 || ((block & 3) != BLOCK_SEQUENCE && block & (CUT | PREV_CUT))) {
        r->bad = true;
        return;
    }
    if ((block & 3) == BLOCK_SEQUENCE)
        read_sequence(r, block, flags);
    else if ((block & 3) == BLOCK_VERSION)
        read_version(r, flags);
    else if ((block & 3) == BLOCK_RANGES)
        read_ranges(r);
    if (flags & FLAG_GENERATION)
        say_number(r, "generation", number(r, 4), false);
    if (flags & FLAG_MARKS)
        read_marks(r);
    if (flags & FLAG_TOMBSTONES)
        buf_add_text(r->out, "remembers retry copies that are done\n");
    if (flags & FLAG_PARKED)
        read_head(r);
    read_claims(r);
}

bool state_describe(struct buf *out, struct slice bytes, struct err *err)
{
    struct reader r = {.at = (const unsigned char *)bytes.data, .left = bytes.len, .out = out};
    size_t before = out->len;
    read_state(&r);
    if (!r.bad)
        return true;
    out->len = before;
    if (out->data)
        out->data[before] = '\0';
    return err_set(
        err, ERR_INPUT,
        "the stored state cannot be read: %zu bytes that no version of the scripts wrote",
        bytes.len);
}
