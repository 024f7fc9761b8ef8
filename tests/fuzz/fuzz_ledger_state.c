/* The stored state of a key as read back from Redis, where anybody may have written anything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = {0};
    struct err err = {0};
    buf_add_text(&out, "before\n");
    bool readable = state_describe(&out, (struct slice){(const char *)data, size}, &err);
    /* What cannot be read leaves nothing behind and says why. */
    if (!readable && (out.len != 7 || err.code != ERR_INPUT || !err.text[0]))
        abort();
    if (strncmp(out.data, "before\n", 7) != 0 || strlen(out.data) != out.len)
        abort();
    buf_deinit(&out);
    return 0;
}
