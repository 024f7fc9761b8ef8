/*
 * Bytes of a handler as an answer. Byte 0 says how large the pieces are, byte 1 the bound of the
 * body. However the bytes are cut, the answer must mean the same (what is there at once may be read
 * without the parser, pieces are not), and what comes out must be clean.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "handler/http_answer.h"
#include "handler/http_problem.h"

#define WALL_MS INT64_C(1750000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_answer_state feed(struct http_answer *answer, const char *data, size_t len,
                                   size_t step, struct handler_answer *out)
{
    enum http_answer_state state = HTTP_ANSWER_MORE;

    for (size_t at = 0; at < len && state == HTTP_ANSWER_MORE; at += step) {
        size_t piece = step < len - at ? step : len - at;
        /* A copy of its own, so that reading beyond the piece is seen. */
        char *copy = mem_alloc(piece);
        memcpy(copy, data + at, piece);
        state = http_answer_feed(answer, copy, piece);
        mem_free(copy);
    }
    if (state == HTTP_ANSWER_MORE)
        state = http_answer_eof(answer);
    assert(answer->body.len <= HTTP_BODY_KEPT_MAX);
    assert(state != HTTP_ANSWER_BROKEN || answer->problem);
    if (state == HTTP_ANSWER_WHOLE)
        http_answer_read(answer, WALL_MS, out);
    return state;
}

static void check(const struct handler_answer *answer)
{
    assert(answer->status >= 200 && answer->status <= 599);
    assert(answer->error == HANDLER_OK || answer->error == HANDLER_PROTOCOL);
    assert(answer->retry_after_ms >= -1);
    assert(!answer->code[0] || http_problem_is_code(slice_of(answer->code)));
    assert(memchr(answer->detail, '\0', sizeof(answer->detail)));
    assert(str_is_utf8(slice_of(answer->detail)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_answer whole, cut;
    static struct handler_answer of_whole, of_cut;

    if (size < 2)
        return 0;
    size_t step = (size_t)data[0] % 64 + 1;
    uint64_t max_body = data[1] < 128 ? data[1] : 65536;
    const char *bytes = (const char *)data + 2;
    size_t len = size - 2;

    http_answer_init(&whole);
    http_answer_init(&cut);
    http_answer_begin(&whole, max_body, false);
    http_answer_begin(&cut, max_body, false);
    enum http_answer_state state = feed(&whole, bytes, len, len ? len : 1, &of_whole);
    enum http_answer_state state_cut = feed(&cut, bytes, len, step, &of_cut);
    assert(state == state_cut);
    if (state == HTTP_ANSWER_WHOLE) {
        check(&of_whole);
        assert(of_whole.status == of_cut.status && of_whole.error == of_cut.error);
        assert(cut.keep_alive || !whole.keep_alive);
        assert(of_whole.has_outcome == of_cut.has_outcome);
        assert(of_whole.retry_after_ms == of_cut.retry_after_ms);
        assert(strcmp(of_whole.code, of_cut.code) == 0);
        assert(strcmp(of_whole.detail, of_cut.detail) == 0);
    }
    http_answer_begin(&cut, max_body, false); /* and the next answer finds nothing of it */
    assert(!cut.started && http_answer_status(&cut) == 0 && cut.body.len == 0);
    http_answer_deinit(&whole);
    http_answer_deinit(&cut);
    return 0;
}
