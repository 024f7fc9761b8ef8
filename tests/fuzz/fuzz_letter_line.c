/* Lines of an export on their way back, one after the other, as an import takes them. What is read
 * is written and read the same; what is bad has its place within the line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dlq/letter_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void same(const struct record *a, const struct record *b)
{
    check(slice_equal(a->topic, b->topic) && a->partition == b->partition);
    check(a->offset == b->offset && a->timestamp_ms == b->timestamp_ms);
    check(slice_is_null(a->key) == slice_is_null(b->key) && slice_equal(a->key, b->key));
    check(slice_is_null(a->value) == slice_is_null(b->value) && slice_equal(a->value, b->value));
    check(a->header_count == b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        check(slice_equal(a->headers[i].name, b->headers[i].name));
        check(slice_is_null(a->headers[i].value) == slice_is_null(b->headers[i].value));
        check(slice_equal(a->headers[i].value, b->headers[i].value));
    }
}

static void there_and_back(const struct record *rec)
{
    struct buf text = {0};
    struct letter_line back;
    struct err err = {0};
    size_t column;
    letter_line_write(&text, rec);
    check(text.data[text.len - 1] == '\n' && memchr(text.data, '\n', text.len - 1) == NULL);
    check(letter_line_read((struct slice){text.data, text.len - 1}, &back, &column, &err));
    same(rec, &back.rec);
    letter_line_deinit(&back);
    buf_deinit(&text);
}

static void take(struct letter_import *import, struct slice text)
{
    struct letter_line line;
    struct produce msg = {0};
    struct err err = {0};
    size_t topic = SIZE_MAX, column = 0;
    switch (letter_import_read(import, text, &line, &topic, &column, &err)) {
    case LETTER_IMPORT_BAD:
        check(err.code == ERR_INPUT && column >= 1 && column <= text.len + 1);
        break;
    case LETTER_IMPORT_LETTER:
        check(topic == 0);
        letter_import_fill(&msg, &line, &import->topics[topic]);
        check(msg.partition >= 0 && msg.partition < 3);
        there_and_back(&line.rec);
        letter_line_deinit(&line);
        break;
    case LETTER_IMPORT_END:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct letter_import_topic topics[] = {{"t", true, 3}, {"gone", false, 0}};
    struct letter_import import = {.topics = topics, .count = 2};
    struct slice rest = {(const char *)data, size};
    while (rest.len > 0) {
        const char *feed = memchr(rest.data, '\n', rest.len);
        size_t len = feed ? (size_t)(feed - rest.data) : rest.len;
        size_t used = feed ? len + 1 : len;
        if (len > 0)
            take(&import, (struct slice){rest.data, len});
        rest = (struct slice){rest.data + used, rest.len - used};
    }
    return 0;
}
