/* Records of a marks topic, where anybody may have written anything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/mark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how much of the rest is the key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf state = {0}, again = {0};
    struct err err = {0};
    struct slice key;
    int32_t partition;
    size_t key_len;
    if (size < 1)
        return 0;
    key_len = data[0] < size - 1 ? data[0] : size - 1;
    struct record rec = {.key = {(const char *)data + 1, key_len},
                         .value = {(const char *)data + 1 + key_len, size - 1 - key_len}};
    if (!mark_read(&rec, &key, &partition, &state, &err)) {
        if (err.code != ERR_INPUT || state.len != 0)
            abort();
    } else {
        /* What is read is written the same. */
        mark_write(&again, buf_slice(&state));
        if (again.len != rec.value.len || memcmp(again.data, rec.value.data, again.len) != 0 ||
            (slice_is_null(key) && partition < 0))
            abort();
    }
    buf_deinit(&state);
    buf_deinit(&again);
    return 0;
}
