/*
 * Reads the input as the headers of a record in a dead-letter topic. Nothing that is read may point
 * outside the record, and what a name or a signature says must be what it promises to be.
 *
 * Input: as header_input.h has it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "header_input.h"
#include "record/dead_letter.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_within(struct slice part, const uint8_t *data, size_t size)
{
    const char *begin = (const char *)data;
    check(slice_is_null(part) || part.len == 0 ||
          (part.data >= begin && part.data + part.len <= begin + size));
}

static void check_name(struct slice name, const uint8_t *data, size_t size)
{
    check_within(name, data, size);
    check(slice_is_null(name) || str_is_utf8(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_header headers[HEADER_INPUT_MAX];
    struct record rec = {.topic = SLICE_LIT("dlq.g.t"), .headers = headers};
    struct dead_letter letter;
    if (!data)
        return 0;
    rec.header_count = header_input((struct slice){(const char *)data, size}, headers);
    dead_letter_read(&rec, &letter);
    check_name(letter.group, data, size);
    check_name(letter.route, data, size);
    check_name(letter.origin.topic, data, size);
    check_name(letter.code, data, size);
    check_name(letter.redrive_id, data, size);
    check_name(letter.first_letter, data, size);
    check_within(letter.detail, data, size);
    check(letter.origin.partition >= -1 && letter.origin.offset >= -1);
    check(letter.first_failed_at_ms >= 0 && letter.last_failed_at_ms >= 0);
    check(strspn(letter.signature, "0123456789abcdef") == HEADERS_SIGNATURE_MAX - 1);
    check(letter.writer != LETTER_PLAIN || letter.unread == NULL);
    return 0;
}
