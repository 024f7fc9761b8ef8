/*
 * Marks; see mark.h. Invariants: a state that is read has the very length that its flags say, and
 * holds nothing but a block and a generation; a run never claims a number that was not added. Must
 * not: believe a length, or keep what it cannot read.
 */
#include "record/mark.h"

#include <endian.h>
#include <string.h>

#include "base/str.h"

enum { BLOCK_SEQUENCE = 1, BLOCK_VERSION = 2 };
enum {
    FLAG_GENERATION = 1,
    FLAG_WINDOW = 16,   /* sequence */
    FLAG_PREVIOUS = 32, /* sequence */
    FLAG_FLOOR = 16,    /* version */
    FLAG_HIGHEST = 32,  /* version */
    FLAG_SUCCEEDED = 64,
    FLAG_SUCCEEDED_SAME = 128,
};
enum {
    PREVIOUS_CUT = 8,
    NO_FLOOR = 16,
    NO_MARK = 32,
    NO_PREVIOUS_FLOOR = 64,
    NO_PREVIOUS_MARK = 128
};
enum { HEAD = 3, EPOCH = 24, WINDOW = 8, HIGHEST = 28, STATE_MAX = 128 };

static const char digits[] = "0123456789abcdef";

void mark_write_key(struct buf *out, struct slice key, int32_t partition)
{
    if (slice_is_null(key)) {
        buf_add_char(out, '-');
        buf_add_i64(out, partition);
        return;
    }
    buf_add_char(out, '=');
    buf_add_slice(out, key);
}

void mark_write(struct buf *out, struct slice state)
{
    buf_add_text(out, "1 ");
    for (size_t i = 0; i < state.len; i++) {
        unsigned char byte = (unsigned char)state.data[i];
        buf_add_char(out, digits[byte >> 4]);
        buf_add_char(out, digits[byte & 15]);
    }
}

/* That of a null key names its source partition: the marks topic may have fewer of them. */
static bool read_key(struct slice text, struct slice *key, int32_t *partition, struct err *err)
{
    struct slice rest = text.len > 0 ? (struct slice){text.data + 1, text.len - 1} : SLICE_NULL;
    int64_t number = -1;
    *partition = -1;
    *key = SLICE_NULL;
    if (text.len > 0 && text.data[0] == '=') {
        *key = rest;
        return true;
    }
    if (text.len == 0 || text.data[0] != '-' || !str_to_i64(rest, &number) || number < 0 ||
        number > INT32_MAX)
        return err_set(err, ERR_INPUT, "no key of a mark");
    *partition = (int32_t)number;
    return true;
}

static bool read_hex(struct slice text, struct buf *out)
{
    for (size_t i = 0; i + 1 < text.len; i += 2) {
        const char *high = memchr(digits, text.data[i], 16);
        const char *low = memchr(digits, text.data[i + 1], 16);
        if (!high || !low)
            return false;
        buf_add_char(out, (char)((high - digits) << 4 | (low - digits)));
    }
    return text.len % 2 == 0;
}

static size_t sequence_bytes(unsigned minus, unsigned flags)
{
    bool previous = flags & FLAG_PREVIOUS;
    if (!previous && minus & (NO_PREVIOUS_FLOOR | NO_PREVIOUS_MARK | PREVIOUS_CUT))
        return 0;
    if ((minus & NO_MARK && !(minus & NO_FLOOR)) ||
        (minus & NO_PREVIOUS_MARK && !(minus & NO_PREVIOUS_FLOOR)))
        return 0; /* nothing seen, and yet a floor */
    return EPOCH + (flags & FLAG_WINDOW ? WINDOW : 0) + (previous ? EPOCH + WINDOW : 0) +
           (flags & FLAG_SUCCEEDED ? 16 : 0);
}

static size_t version_bytes(unsigned minus, unsigned flags)
{
    if (minus || (flags & FLAG_SUCCEEDED_SAME && !(flags & FLAG_HIGHEST)))
        return 0;
    return (flags & FLAG_FLOOR ? 8 : 0) + (flags & FLAG_HIGHEST ? HIGHEST : 0) +
           (flags & FLAG_SUCCEEDED ? 8 : 0);
}

static bool is_state(const struct buf *state)
{
    const unsigned char *at = (const unsigned char *)state->data;
    if (state->len < HEAD || state->len > STATE_MAX || at[0] != 1)
        return false;
    unsigned block = at[1] & 3, minus = at[1] & ~3u, flags = at[2];
    size_t bytes = block == BLOCK_SEQUENCE  ? sequence_bytes(minus, flags)
                   : block == BLOCK_VERSION ? version_bytes(minus, flags)
                                            : 0;
    bool both = flags & FLAG_SUCCEEDED && flags & FLAG_SUCCEEDED_SAME;
    if (bytes == 0 || both || flags & (2 | 4 | 8))
        return false;
    return state->len == HEAD + bytes + (flags & FLAG_GENERATION ? 4 : 0);
}

bool mark_read(const struct record *rec, struct slice *key, int32_t *partition, struct buf *state,
               struct err *err)
{
    struct slice value = rec->value;
    buf_reset(state);
    if (!read_key(rec->key, key, partition, err))
        return false;
    if (value.len < 2 || value.len > 2 + 2 * STATE_MAX || memcmp(value.data, "1 ", 2) != 0)
        return err_set(err, ERR_INPUT, "no mark of version 1");
    if (!read_hex((struct slice){value.data + 2, value.len - 2}, state) || !is_state(state)) {
        buf_reset(state);
        return err_set(err, ERR_INPUT, "a mark that holds no state");
    }
    return true;
}

static uint64_t read8(const char *at)
{
    uint64_t big;
    memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

bool mark_succeeded(struct slice state, uint64_t *epoch, uint64_t *number)
{
    const struct buf copy = {(char *)state.data, state.len, 0}; /* only looked at */
    const char *at = state.data ? state.data + HEAD : NULL;
    unsigned flags;
    if (slice_is_null(state) || !is_state(&copy))
        return false;
    flags = (unsigned char)state.data[2];
    if (!(flags & (FLAG_SUCCEEDED | FLAG_SUCCEEDED_SAME)))
        return false;
    if ((state.data[1] & 3) == BLOCK_VERSION) {
        at += flags & FLAG_FLOOR ? 8 : 0;
        at += flags & FLAG_SUCCEEDED && flags & FLAG_HIGHEST ? HIGHEST : 0;
        *epoch = 0;
        *number = read8(at);
        return true;
    }
    *epoch = read8(at);
    *number = read8(at + 16);
    if (flags & FLAG_SUCCEEDED) {
        at += EPOCH + (flags & FLAG_WINDOW ? WINDOW : 0) +
              (flags & FLAG_PREVIOUS ? EPOCH + WINDOW : 0);
        *epoch = read8(at);
        *number = read8(at + 8);
    }
    return true;
}

/* ---- runs ---- */

struct mark_run mark_run_of(uint64_t epoch, uint64_t number)
{
    return (struct mark_run){.epoch = epoch, .first = number, .last = number};
}

void mark_run_add(struct mark_run *run, uint64_t epoch, uint64_t number)
{
    uint64_t ahead = number - run->last;
    if (epoch < run->epoch || (epoch == run->epoch && number <= run->last))
        return;
    if (epoch > run->epoch || ahead > 64) {
        *run = mark_run_of(epoch, number);
        return;
    }
    run->window |= UINT64_C(1) << (ahead - 1);
    while (run->window & 1) {
        run->window >>= 1;
        run->last++;
    }
}

static void add8(struct buf *out, uint64_t number)
{
    uint64_t big = htobe64(number);
    buf_add(out, &big, sizeof(big));
}

void mark_run_write(struct buf *out, const struct mark_run *run)
{
    char head[HEAD] = {1, (char)(BLOCK_SEQUENCE + (run->first == 0 ? NO_FLOOR : 0)),
                       run->window ? FLAG_WINDOW : 0};
    buf_add(out, head, sizeof(head));
    add8(out, run->epoch);
    add8(out, run->first - 1);
    add8(out, run->last);
    if (run->window)
        add8(out, run->window);
}
