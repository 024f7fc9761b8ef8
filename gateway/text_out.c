/*
 * Safe text; see text_out.h. Whatever a program or a stranger wrote into a record ends here before
 * a person sees it: no byte of it may be taken by a terminal for a command. Widths are those of
 * Unicode, whatever locale the process was started with.
 */
#include "text_out.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "base/str.h"
#include "base/utf8.h"

#define ELLIPSIS      "\xe2\x80\xa6"
#define COLUMNS_LEAST 20
#define COLUMNS_MOST  10000
#define HEX_PER_LINE  16

/* Columns of a character; -1: it is none that is assigned. */
static int columns_of(uint32_t code)
{
    static locale_t locale;
    locale_t before;
    int width;
    if (code < 0x7f)
        return 1;
    if (!locale)
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!locale)
        return 1;
    before = uselocale(locale);
    width = wcwidth((wchar_t)code);
    uselocale(before);
    return width;
}

static void add_escape(struct buf *out, uint32_t code)
{
    if (code == '\n')
        buf_add_text(out, "\\n");
    else if (code == '\t')
        buf_add_text(out, "\\t");
    else if (code == '\r')
        buf_add_text(out, "\\r");
    else if (code < 0x80)
        buf_printf(out, "\\x%02" PRIx32, code);
    else
        buf_printf(out, "\\u{%" PRIx32 "}", code);
}

void text_add_safe(struct buf *out, struct slice text, bool lines)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_char_len(text.data + at, text.len - at);
        uint32_t code = len > 0 ? utf8_decode(text.data + at, len) : 0;
        if (len == 0) {
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text.data[at]);
            len = 1;
        } else if (lines && code == '\n') {
            buf_add_char(out, '\n');
        } else if (utf8_is_hidden(code) || columns_of(code) < 0) {
            add_escape(out, code);
        } else {
            buf_add(out, text.data + at, len);
        }
        at += len;
    }
}

static size_t char_width(const char *data, size_t left, size_t *len)
{
    int width;
    *len = utf8_char_len(data, left);
    if (*len == 0) {
        *len = 1;
        return 1;
    }
    width = columns_of(utf8_decode(data, *len));
    return width < 0 ? 1 : (size_t)width;
}

size_t text_width(struct slice text)
{
    size_t width = 0, len = 0;
    for (size_t at = 0; at < text.len; at += len)
        width += char_width(text.data + at, text.len - at, &len);
    return width;
}

size_t text_add_cut(struct buf *out, struct slice text, size_t width)
{
    size_t taken = 0, at = 0, len = 0;
    size_t whole = text_width(text);
    if (whole <= width) {
        buf_add_slice(out, text);
        return whole;
    }
    if (width == 0)
        return 0;
    while (at < text.len) {
        size_t one = char_width(text.data + at, text.len - at, &len);
        if (taken + one > width - 1)
            break;
        taken += one;
        at += len;
    }
    buf_add(out, text.data, at);
    buf_add_text(out, ELLIPSIS);
    return taken + 1;
}

size_t text_columns(void)
{
    const char *set = getenv("COLUMNS");
    uint64_t columns = 0;
    struct winsize size = {0};
    if (set && str_to_u64(slice_of(set), &columns) && columns >= COLUMNS_LEAST &&
        columns <= COLUMNS_MOST)
        return (size_t)columns;
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_LEAST)
        return size.ws_col;
    return 80;
}

static void write_time(int64_t ms, bool fraction, char out[TEXT_TIME_MAX])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char zone[8], stamp[24], part[8] = "";
    if (ms <= 0 || !localtime_r(&seconds, &tm) ||
        strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm) == 0 ||
        strftime(zone, sizeof(zone), "%z", &tm) == 0) {
        snprintf(out, TEXT_TIME_MAX, "-");
        return;
    }
    if (fraction)
        snprintf(part, sizeof(part), ".%03d", (int)(ms % 1000));
    snprintf(out, TEXT_TIME_MAX, "%s%s %s", stamp, part, zone);
}

void text_time(int64_t ms, char out[TEXT_TIME_MAX])
{
    write_time(ms, true, out);
}

void text_time_short(int64_t ms, char out[TEXT_TIME_MAX])
{
    write_time(ms, false, out);
}

void text_add_hex(struct buf *out, struct slice bytes, size_t most)
{
    size_t shown = bytes.len < most ? bytes.len : most;
    for (size_t at = 0; at < shown; at += HEX_PER_LINE) {
        size_t end = at + HEX_PER_LINE < shown ? at + HEX_PER_LINE : shown;
        buf_printf(out, "%08zx ", at);
        for (size_t i = at; i < at + HEX_PER_LINE; i++) {
            if (i < end)
                buf_printf(out, " %02x", (unsigned)(unsigned char)bytes.data[i]);
            else
                buf_add_text(out, "   ");
        }
        buf_add_text(out, "  ");
        for (size_t i = at; i < end; i++)
            buf_add_char(out, bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f ? bytes.data[i] : '.');
        buf_add_char(out, '\n');
    }
    if (shown < bytes.len)
        buf_printf(out, "and %zu bytes more\n", bytes.len - shown);
}
