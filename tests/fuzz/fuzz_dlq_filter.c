/* Filters of dead letters: as JSON from a page or a job, and part by part. What is read is written
 * and read the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dlq/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(struct dlq_filter *filter)
{
    struct buf text = {0}, again = {0};
    struct err err = {0};
    struct dlq_filter back;
    dlq_filter_init(&back);
    dlq_filter_to_json(filter, &text);
    if (!dlq_filter_from_json(&back, buf_slice(&text), &err))
        abort();
    dlq_filter_to_json(&back, &again);
    if (text.len != again.len || memcmp(text.data, again.data, text.len) != 0 ||
        back.key_len != filter->key_len || back.id_count != filter->id_count)
        abort();
    dlq_filter_deinit(&back);
    buf_deinit(&text);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"route", "topic",   "code",  "status", "signature", "key",
                                        "since", "key_hex", "until", "text",   "state",     "id"};
    struct slice input = {(const char *)data, size};
    struct dlq_filter filter;
    struct err err = {0};
    dlq_filter_init(&filter);
    if (dlq_filter_from_json(&filter, input, &err))
        there_and_back(&filter);
    else if (err.code != ERR_INPUT)
        abort();
    dlq_filter_deinit(&filter);
    dlq_filter_init(&filter);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (dlq_filter_set(&filter, names[i], input, INT64_C(1767323045678), &err))
            there_and_back(&filter);
        else if (err.code != ERR_USAGE)
            abort();
    }
    dlq_filter_deinit(&filter);
    return 0;
}
