/*
 * Reads the input as a record's headers and takes them for a copy's. What can be read must survive
 * being written and read again, and every header of ours must then be there once. The rest of the
 * input feeds the signature.
 *
 * Input: as header_input.h has it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "header_input.h"
#include "record/headers.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_written(const struct header_list *list, size_t app_count)
{
    for (size_t i = 0; i < list->count; i++) {
        check(headers_is_own(list->items[i].name) == (i >= app_count));
        for (size_t j = app_count; j < i; j++)
            check(!slice_equal(list->items[i].name, list->items[j].name));
    }
}

static void write_and_read_again(const struct record *rec, const struct copy_info *info,
                                 bool read_ok)
{
    size_t app_count = 0;
    for (size_t i = 0; i < rec->header_count; i++)
        app_count += !headers_is_own(rec->headers[i].name);

    struct header_list list;
    header_list_init(&list);
    struct copy_identity identity = {true, true, UINT64_MAX, 0};
    for (int kind = COPY_RETRY; kind <= COPY_DEAD_LETTER; kind++) {
        struct copy_info again;
        struct err err = {0};
        headers_write_copy(&list, (enum copy_kind)kind, rec, info, &identity, 100);
        if (kind == COPY_DEAD_LETTER) /* it has all of them */
            check_written(&list, app_count);
        struct record copy = {.headers = list.items, .header_count = list.count};
        bool again_ok = headers_read_copy(&copy, &again, &err);
        if (!read_ok)
            continue;
        check(again_ok);
        check(slice_equal(again.group, info->group));
        check(slice_equal(again.origin.topic, info->origin.topic));
        check(again.origin.partition == info->origin.partition);
        check(again.origin.offset == info->origin.offset);
        check(again.attempt == info->attempt && again.hop == info->hop);
    }
    header_list_deinit(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_header headers[HEADER_INPUT_MAX];
    struct slice in = {(const char *)data, size};
    struct record rec = {.headers = headers};
    if (!data)
        return 0;
    rec.header_count = header_input(in, headers);

    struct copy_info info;
    struct err err = {0};
    bool ok = headers_read_copy(&rec, &info, &err);
    check(ok == (err.code == ERR_NONE));
    write_and_read_again(&rec, &info, ok);

    char first[HEADERS_SIGNATURE_MAX];
    char second[HEADERS_SIGNATURE_MAX];
    headers_signature(info.route, info.error_code, in, first);
    headers_signature(info.route, info.error_code, in, second);
    check(strlen(first) == 16 && strcmp(first, second) == 0);
    return 0;
}
