/*
 * Bytes of a handler as the answer to a batch, and bytes of a record as an event of one. Byte 0
 * says which, and how. What is read must be of the records that were asked about, each at most
 * once; what is written must be one JSON object in UTF-8 whose id is the one that is told.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "handler/batch_answer.h"
#include "handler/batch_event.h"
#include "handler/http_problem.h"
#include "record/json_field.h"

#define WALL_MS INT64_C(1750000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct slice body, bool cut, bool has_outcome)
{
    static const char *const names[] = {"a", "b", "a", "og/g/t/k/0/1", ""};
    static struct handler_answer one;
    struct batch_result results[5];
    struct batch_answer answer = {.results = results};
    struct handler_answer *whole = mem_zalloc(sizeof(*whole));
    struct batch_ids ids = {0};

    for (size_t i = 0; i < 5; i++) {
        buf_add_text(&ids.bytes, names[i]);
        batch_ids_end(&ids);
    }
    whole->status = 200;
    whole->has_outcome = has_outcome;
    whole->outcome = OUTCOME_DROP;
    bool ok = batch_answer_read(body, cut, &ids, &answer);
    assert(ok == !answer.problem);
    uint32_t named = 0;
    for (uint32_t i = 0; i < 5; i++) {
        named += results[i].named;
        batch_answer_of(&answer, i, whole, WALL_MS, &one);
        assert(one.error == HANDLER_OK || one.error == HANDLER_PROTOCOL);
        assert(!one.code[0] || http_problem_is_code(slice_of(one.code)));
        assert(str_is_utf8(slice_of(one.detail)));
        assert(one.retry_after_ms >= -1);
        if (!results[i].named)
            assert(one.outcome == (has_outcome ? OUTCOME_DROP : OUTCOME_RETRY));
    }
    assert(named == answer.named && (ok || named == 0));
    batch_ids_deinit(&ids);
    mem_free(whole);
}

/* Around it the event is one level more, which json_find may not go down. */
static bool is_deep(struct slice value)
{
    size_t open = 0;
    for (size_t i = 0; i < value.len; i++)
        open += value.data[i] == '[' || value.data[i] == '{';
    return open >= JSON_DEPTH_MAX;
}

static void check_event(struct slice bytes, unsigned bits)
{
    static const char *const types[] = {"application/json", "text/plain",
                                        "application/cloudevents+json", "x/y"};
    size_t half = bytes.len / 2;
    struct slice first = {bytes.data, half}, rest = {bytes.data + half, bytes.len - half};
    struct record_header headers[] = {
        {SLICE_LIT("content-type"), slice_of(types[bits & 3])},
        {SLICE_LIT("h"), first},
        {SLICE_LIT("ce_id"), first},
        {SLICE_LIT("ce_x"), rest},
        {SLICE_LIT("ce_specversion"), SLICE_LIT("1.0")},
    };
    struct record rec = {.key = first,
                         .value = bits & 4 ? bytes : rest,
                         .headers = headers,
                         .header_count = bits & 8 ? 5 : 2};
    char *forward[] = {(char *)(uintptr_t) "h"};
    struct route_config route = {
        .group = (char *)(uintptr_t) "g",
        .handler = {.batch_max_records = 2, .forward_headers = forward, .forward_header_count = 1}};
    struct origin origin = {.topic = SLICE_LIT("t")};
    struct identity identity = {.kind = IDENTITY_SEQUENCE, .key = first, .number = 7};
    struct request_facts facts = {.rec = &rec, .origin = &origin, .identity = &identity};
    struct json_field fields[] = {{.pointer = "/id"}, {.pointer = "/kafkatopic"}};
    struct buf out = {0}, ids = {0}, store = {0};
    struct slice id;
    struct err err = {0};
    struct request_template *tpl = request_template_new(&route, &err);

    assert(tpl);
    batch_event_write(tpl, &facts, &out, &ids);
    assert(out.data[0] == '{' && str_is_utf8(buf_slice(&out)));
    bool ok = json_find(buf_slice(&out), fields, 2);
    if (!ok && is_deep(rec.value))
        goto out;
    assert(ok && fields[0].kind == JSON_STRING && slice_equal_text(fields[1].raw, "t"));
    buf_reserve(&store, fields[0].raw.len + 1);
    ok = json_string_bytes(fields[0].raw, &store, &id);
    assert(ok && slice_equal(id, buf_slice(&ids)));
out:
    request_template_free(&tpl);
    buf_deinit(&out);
    buf_deinit(&ids);
    buf_deinit(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct slice bytes = {(const char *)data + 1, size - 1};
    if (data[0] & 1)
        check_answer(bytes, data[0] & 2, data[0] & 4);
    else
        check_event(bytes, data[0] >> 1);
    return 0;
}
