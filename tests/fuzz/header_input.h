/*
 * Bytes of a fuzzer as headers of a record: <name length> <value length, 255: null> <name> <value>,
 * until the bytes end.
 */
#ifndef OG_FUZZ_HEADER_INPUT_H
#define OG_FUZZ_HEADER_INPUT_H

#include "record/record.h"

enum { HEADER_INPUT_MAX = 32 };

/* How many there are; they borrow from in. */
static inline size_t header_input(struct slice in, struct record_header *headers)
{
    size_t count = 0;
    while (count < HEADER_INPUT_MAX && in.len >= 2) {
        size_t name_len = (unsigned char)in.data[0];
        size_t value_len = (unsigned char)in.data[1];
        bool null = value_len == 255;
        in = (struct slice){in.data + 2, in.len - 2};
        name_len = name_len < in.len ? name_len : in.len;
        struct slice name = {in.data, name_len};
        in = (struct slice){in.data + name_len, in.len - name_len};
        value_len = null ? 0 : value_len < in.len ? value_len : in.len;
        struct slice value = {null ? NULL : in.data, value_len};
        in = (struct slice){in.data + value_len, in.len - value_len};
        headers[count++] = (struct record_header){name, value};
    }
    return count;
}

#endif
