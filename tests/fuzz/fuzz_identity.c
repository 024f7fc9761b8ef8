/*
 * Reads the identity of a record made of the input by a rule made of the input, and holds it to
 * what it promises: a status with a code or none of both, every byte it hands out readable, an
 * Idempotency-Key of printable ASCII up to 255.
 *
 * Input: <rule byte> <rule byte> <length of the pointer> <pointer> <value>. The value serves as key
 * and header too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "record/identity.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Reads every byte, so that a slice beyond its memory is found out. */
static void touch(struct slice s)
{
    volatile char sum = 0;
    for (size_t i = 0; i < s.len; i++)
        sum = (char)(sum ^ s.data[i]);
}

static struct field_source source_of(unsigned bits, char *name)
{
    static const enum field_from from[] = {FIELD_KAFKA_KEY, FIELD_HEADER, FIELD_JSON, FIELD_JSON};
    return (struct field_source){from[bits & 3], name};
}

static void check_text(const struct identity *identity, struct buf *text)
{
    struct origin origin = {.topic = SLICE_LIT("t"), .partition = 1, .offset = 2};
    for (int hide = 0; hide < 2; hide++) {
        identity_text(identity, &origin, SLICE_LIT("og/g/t/"), hide, text);
        check(text->len > 0 && text->len <= 255);
        for (size_t i = 0; i < text->len; i++)
            check(text->data[i] > ' ' && text->data[i] < 0x7f && text->data[i] != '"' &&
                  text->data[i] != '\\');
    }
}

static void check_identity(const struct identity_rule *rule, const struct record *rec)
{
    struct buf store = {0};
    struct buf text = {0};
    struct identity out;
    identity_read(rule, rec, &store, &out);
    check(out.kind == rule->kind);
    check((out.status == IDENTITY_OK) == (out.code[0] == '\0'));
    check((out.status == IDENTITY_OK) == (out.problem == NULL));
    touch(out.key);
    touch(out.event_id);
    check_text(&out, &text);
    buf_deinit(&store);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char header_name[] = "h";
    static char fixed_pointer[] = "/a/0";
    char pointer[256];
    if (size < 3)
        return 0;
    unsigned bits = data[0];
    unsigned kind = data[1] % 5;
    size_t pointer_len = data[2] < size - 3 ? data[2] : size - 3;
    for (size_t i = 0; i < pointer_len; i++)
        pointer[i] = (char)data[3 + i];
    pointer[pointer_len] = '\0';

    struct slice value = {(const char *)data + 3 + pointer_len, size - 3 - pointer_len};
    struct record_header header = {SLICE_LIT("h"), value};
    struct record rec = {.key = value,
                         .value = value,
                         .headers = &header,
                         .header_count = 1,
                         .timestamp_ms = (int64_t)size - 10};
    struct identity_rule rule = {.kind = (enum identity_kind)kind, .rfc3339 = data[1] & 0x80};
    rule.key = source_of(bits, (bits & 3) == 1 ? header_name : fixed_pointer);
    rule.number = source_of(bits >> 2, (bits >> 2 & 3) == 1 ? header_name : pointer);
    rule.epoch = source_of(bits >> 4, (bits >> 4 & 3) == 1 ? header_name : pointer);
    if (bits & 0x40)
        rule.epoch.from = FIELD_NONE;
    if (bits & 0x80)
        rule.number.from = FIELD_TIMESTAMP;
    check_identity(&rule, &rec);
    return 0;
}
