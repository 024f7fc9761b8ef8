/* Records of a topic of letters' states, where anybody may have written anything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/letter_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* What was read says the same when it is written and read again; its id is its key. */
static void write_and_read_again(const struct record *rec, const struct letter_id *id,
                                 const struct letter_state *state)
{
    struct buf key = {0}, value = {0}, store = {0};
    struct letter_id id_again;
    struct letter_state again;
    struct err err = {0};
    letter_id_write(&key, id);
    check(slice_equal(buf_slice(&key), rec->key));
    if (state->status != LETTER_FORGOTTEN) {
        struct record copy = {.key = rec->key};
        letter_state_write(&value, state);
        copy.value = buf_slice(&value);
        /* Bytes that are not UTF-8 become longer ones. */
        if (value.len <= LETTER_STATE_MAX) {
            check(letter_state_read(&copy, &id_again, &again, &store, &err));
            check(again.status == state->status && again.result == state->result);
            check(again.at_ms == state->at_ms && again.redrive_count == state->redrive_count);
            check(slice_is_null(again.redrive_id) == slice_is_null(state->redrive_id));
        }
    }
    buf_deinit(&key);
    buf_deinit(&value);
    buf_deinit(&store);
}

/* The first byte says how much of the rest is the key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf store = {0};
    struct err err = {0};
    struct letter_id id;
    struct letter_state state;
    size_t key_len;
    if (size < 1)
        return 0;
    key_len = data[0] < size - 1 ? data[0] : size - 1;
    struct record rec = {.key = {(const char *)data + 1, key_len},
                         .value = {(const char *)data + 1 + key_len, size - 1 - key_len}};
    bool ok = letter_state_read(&rec, &id, &state, &store, &err);
    check(ok == (err.code == ERR_NONE));
    if (ok)
        write_and_read_again(&rec, &id, &state);
    buf_deinit(&store);
    return 0;
}
