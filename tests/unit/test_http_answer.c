/* Answers as bytes: whole, in pieces, cut, wrong and too large, and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "handler/http_answer.h"
#include "handler/http_plain.h"
#include "handler/http_problem.h"

#define MAX_BODY 65536
#define WALL_MS  INT64_C(1750000000000)

struct seen {
    enum http_answer_state state;
    bool keep_alive;
    const char *problem;
    struct handler_answer answer;
};

/* Feeds text in pieces of `step` bytes (0: at once) and, where it still wants more, the end. */
static struct seen *feed(const char *text, size_t len, size_t step, uint64_t max_body, bool eof)
{
    struct http_answer *answer = mem_zalloc(sizeof(*answer));
    struct seen *seen = mem_zalloc(sizeof(*seen));

    http_answer_init(answer);
    http_answer_begin(answer, max_body, false);
    seen->state = HTTP_ANSWER_MORE;
    for (size_t at = 0; at < len && seen->state == HTTP_ANSWER_MORE;) {
        size_t piece = step && step < len - at ? step : len - at;
        seen->state = http_answer_feed(answer, text + at, piece);
        at += piece;
    }
    if (seen->state == HTTP_ANSWER_MORE && eof)
        seen->state = http_answer_eof(answer);
    seen->keep_alive = answer->keep_alive;
    seen->problem = answer->problem;
    if (seen->state == HTTP_ANSWER_WHOLE)
        http_answer_read(answer, WALL_MS, &seen->answer);
    http_answer_deinit(answer);
    mem_free(answer);
    return seen;
}

/* A whole answer, read at once and byte by byte alike. */
static struct seen *whole(const char *text)
{
    struct seen *one = feed(text, strlen(text), 1, MAX_BODY, false);
    struct seen *all = feed(text, strlen(text), 0, MAX_BODY, false);

    assert_int_equal(all->state, HTTP_ANSWER_WHOLE);
    assert_int_equal(one->state, HTTP_ANSWER_WHOLE);
    assert_int_equal(one->keep_alive, all->keep_alive);
    assert_int_equal(one->answer.status, all->answer.status);
    assert_int_equal(one->answer.retry_after_ms, all->answer.retry_after_ms);
    assert_string_equal(one->answer.code, all->answer.code);
    assert_string_equal(one->answer.detail, all->answer.detail);
    mem_free(one);
    return all;
}

static void assert_state(const char *text, size_t len, enum http_answer_state state)
{
    struct seen *one = feed(text, len, 1, MAX_BODY, true);
    struct seen *all = feed(text, len, 0, MAX_BODY, true);

    if (all->state != state || one->state != state)
        print_message("%.60s: %s\n", text, all->problem ? all->problem : "-");
    assert_int_equal(all->state, state);
    assert_int_equal(one->state, state);
    if (state == HTTP_ANSWER_BROKEN)
        assert_non_null(all->problem);
    mem_free(one);
    mem_free(all);
}

static void test_feed_plain_answer_is_whole_and_kept_alive(void **state)
{
    (void)state;
    struct seen *seen = whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_true(seen->keep_alive);
    assert_int_equal(seen->answer.status, 200);
    assert_int_equal(seen->answer.error, HANDLER_OK);
    assert_int_equal(seen->answer.retry_after_ms, -1);
    assert_false(seen->answer.has_outcome);
    assert_string_equal(seen->answer.detail, "");
    mem_free(seen);
}

static void test_feed_chunked_answer_with_trailers(void **state)
{
    (void)state;
    struct seen *seen = whole("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "4\r\nbad \r\n5\r\nthing\r\n0\r\nOncegate-Outcome: drop\r\n\r\n");
    assert_true(seen->keep_alive);
    assert_string_equal(seen->answer.detail, "bad thing");
    assert_false(seen->answer.has_outcome); /* a trailer decides nothing */
    mem_free(seen);
}

static void test_feed_connection_close_and_http10_are_not_kept_alive(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen *seen = whole(cases[i].text);
        assert_int_equal(seen->keep_alive, cases[i].keep_alive);
        mem_free(seen);
    }
}

static void test_feed_bytes_behind_the_answer_end_the_connection(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n";
    (void)state;
    struct seen *seen = feed(text, sizeof(text) - 1, 0, MAX_BODY, false);
    assert_int_equal(seen->state, HTTP_ANSWER_WHOLE);
    assert_int_equal(seen->answer.status, 200);
    assert_false(seen->keep_alive);
    mem_free(seen);
}

static void test_feed_interim_answers_are_skipped(void **state)
{
    (void)state;
    struct seen *seen = whole("HTTP/1.1 100 Continue\r\n\r\n"
                              "HTTP/1.1 103 Early Hints\r\nOncegate-Outcome: drop\r\n\r\n"
                              "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(seen->answer.status, 201);
    assert_false(seen->answer.has_outcome);
    assert_true(seen->keep_alive);
    mem_free(seen);
}

static void test_feed_endless_interim_answers_are_refused(void **state)
{
    struct buf text = {0};
    (void)state;
    for (int i = 0; i < 20000; i++)
        buf_add_text(&text, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_BROKEN);
    buf_deinit(&text);
}

static void test_eof_ends_a_body_without_a_length_only(void **state)
{
    static const struct {
        const char *text;
        enum http_answer_state state;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\nall of it", HTTP_ANSWER_WHOLE},
        {"HTTP/1.0 200 OK\r\n\r\n", HTTP_ANSWER_WHOLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", HTTP_ANSWER_MORE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", HTTP_ANSWER_MORE},
        {"HTTP/1.1 200 OK\r\nContent-Le", HTTP_ANSWER_MORE},
        {"HTTP/1.1 20", HTTP_ANSWER_MORE},
        {"HTTP/1.1 100 Continue\r\n\r\n", HTTP_ANSWER_MORE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_state(cases[i].text, strlen(cases[i].text), cases[i].state);
}

static void test_feed_what_is_not_http_is_refused(void **state)
{
    static const char *const cases[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01\x00\x02\x02\x16",
        "<html>hello</html>",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nBad\x01Header: x\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_state(cases[i], strlen(cases[i]), HTTP_ANSWER_BROKEN);
}

static void add_repeated(struct buf *text, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_char(text, c);
}

static void test_feed_header_limits(void **state)
{
    struct buf text = {0};
    (void)state;

    buf_add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    add_repeated(&text, 'v', HTTP_LINE_MAX - 1);
    buf_add_text(&text, "\r\n\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_WHOLE);

    buf_reset(&text);
    buf_add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    add_repeated(&text, 'v', HTTP_LINE_MAX);
    buf_add_text(&text, "\r\n\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_BROKEN);

    buf_reset(&text);
    buf_add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        buf_add_text(&text, "X: y\r\n");
    buf_add_text(&text, "\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_WHOLE);

    buf_reset(&text);
    buf_add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        buf_add_text(&text, "X: y\r\n");
    buf_add_text(&text, "\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_BROKEN);

    buf_reset(&text);
    buf_add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 10; i++) {
        buf_add_text(&text, "X: ");
        add_repeated(&text, 'v', 7000);
        buf_add_text(&text, "\r\n");
    }
    buf_add_text(&text, "\r\n");
    assert_state(text.data, text.len, HTTP_ANSWER_BROKEN);

    buf_reset(&text);
    buf_add_text(&text, "HTTP/1.1 200 ");
    add_repeated(&text, 'r', 9000);
    assert_state(text.data, text.len, HTTP_ANSWER_BROKEN);
    buf_deinit(&text);
}

static void test_feed_body_beyond_the_bound_is_decided_by_status(void **state)
{
    static const char text[] = "HTTP/1.1 422 No\r\nContent-Length: 1073741824\r\n\r\n0123456789";
    (void)state;
    struct seen *seen = feed(text, sizeof(text) - 1, 0, 8, false);
    assert_int_equal(seen->state, HTTP_ANSWER_WHOLE);
    assert_int_equal(seen->answer.status, 422);
    assert_false(seen->keep_alive);
    assert_string_equal(seen->answer.detail, "01234567");
    mem_free(seen);
    seen = feed(text, sizeof(text) - 1, 1, 8, false);
    assert_int_equal(seen->state, HTTP_ANSWER_WHOLE);
    mem_free(seen);
}

static void test_read_outcome_and_code_headers(void **state)
{
    static const struct {
        const char *value;
        enum outcome outcome;
    } outcomes[] = {
        {"success", OUTCOME_SUCCESS},         {"retry", OUTCOME_RETRY},
        {"dead-letter", OUTCOME_DEAD_LETTER}, {"drop", OUTCOME_DROP},
        {" Pause \t", OUTCOME_PAUSE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        struct buf text = {0};
        buf_printf(&text,
                   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\noncegate-OUTCOME: %s\r\n"
                   "Oncegate-Error-Code: stock.out_1-a\r\n\r\n",
                   outcomes[i].value);
        struct seen *seen = whole(text.data);
        assert_int_equal(seen->answer.error, HANDLER_OK);
        assert_true(seen->answer.has_outcome);
        assert_int_equal(seen->answer.outcome, outcomes[i].outcome);
        assert_string_equal(seen->answer.code, "stock.out_1-a");
        mem_free(seen);
        buf_deinit(&text);
    }
}

static void test_read_unreadable_outcome_is_a_protocol_error(void **state)
{
    static const char *const cases[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nOncegate-Outcome: deadletter\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nOncegate-Outcome:\r\n\r\n",
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nOncegate-Outcome: success\r\n"
         "Oncegate-Outcome: retry\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen *seen = whole(cases[i]);
        assert_int_equal(seen->answer.error, HANDLER_PROTOCOL);
        assert_int_equal(seen->answer.status, 200);
        assert_false(seen->answer.has_outcome);
        assert_true(strlen(seen->answer.detail) > 0);
        mem_free(seen);
    }
}

static void test_read_bad_error_code_is_ignored(void **state)
{
    static const char *const values[] = {"",
                                         "Card Declined",
                                         "a/b",
                                         "UPPER",
                                         "a\tb",
                                         ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "HTTP/1.1 422 No\r\nContent-Length: 0\r\nOncegate-Error-Code: %s\r\n\r\n",
                   values[i]);
        struct seen *seen = whole(text.data);
        assert_string_equal(seen->answer.code, "");
        mem_free(seen);
        buf_deinit(&text);
    }
}

static void test_read_retry_after(void **state)
{
    static const struct {
        const char *value;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"120", 120000},
        {" 7 ", 7000},
        {"Sun, 15 Jun 2025 15:07:00 GMT", 20000}, /* WALL_MS is 15:06:40 */
        {"Sunday, 15-Jun-25 15:07:00 GMT", 20000},
        {"Sun Jun 15 15:07:00 2025", 20000},
        {"Sun, 15 Jun 2025 15:00:00 GMT", 0},
        {"18446744073709551615", INT64_C(10) * 366 * 86400 * 1000},
        {"-1", -1},
        {"1.5", -1},
        {"soon", -1},
        {"", -1},
        {"99999999999999999999999", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n",
                   cases[i].value);
        struct seen *seen = whole(text.data);
        if (seen->answer.retry_after_ms != cases[i].ms)
            print_message("Retry-After: %s\n", cases[i].value);
        assert_int_equal(seen->answer.retry_after_ms, cases[i].ms);
        mem_free(seen);
        buf_deinit(&text);
    }
}

static struct seen *problem(const char *headers, const char *body)
{
    struct buf text = {0};

    buf_printf(&text,
               "HTTP/1.1 422 No\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
               "Content-Length: %zu\r\n%s\r\n%s",
               strlen(body), headers, body);
    struct seen *seen = whole(text.data);
    buf_deinit(&text);
    return seen;
}

static void test_read_problem_json(void **state)
{
    static const struct {
        const char *body, *code, *detail;
    } cases[] = {
        {"{\"type\":\"https://x.example/problems/out-of-credit\",\"detail\":\"30 of 50\"}",
         "out-of-credit", "30 of 50"},
        {"{\"type\":\"https://x.example/p/OutOfCredit/?a=/b#c/d\",\"title\":\"No money\"}",
         "outofcredit", "No money"},
        {"{\"type\":\"urn:problem:stock.out\",\"title\":\"t\",\"detail\":\"d\"}", "stock.out", "d"},
        {"{\"type\":\"about:blank\",\"detail\":\"d\"}", "", "d"},
        {"{\"detail\":\"d\"}", "", "d"},
        {"{\"type\":\"https://x.example/a%20b\",\"detail\":\"d\"}", "", "d"},
        {"{\"type\":7,\"detail\":{\"a\":1}}", "", ""},
        {"{}", "", ""},
        {"{\"detail\":\"a\\u0000b\\r\\nc\"}", "", "a b \nc"},
        {"[1,2", "", "[1,2"},
        {"null", "", "null"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen *seen = problem("", cases[i].body);
        assert_string_equal(seen->answer.code, cases[i].code);
        assert_string_equal(seen->answer.detail, cases[i].detail);
        mem_free(seen);
    }
}

static void test_read_answer_headers_beat_problem_json(void **state)
{
    (void)state;
    struct seen *seen = problem("Oncegate-Error-Code: mine\r\n", "{\"type\":\"x/theirs\"}");
    assert_string_equal(seen->answer.code, "mine");
    mem_free(seen);
}

static void test_read_deep_or_huge_problem_json_is_text(void **state)
{
    struct buf body = {0};
    (void)state;

    add_repeated(&body, '[', 5000);
    struct seen *seen = problem("", body.data);
    assert_string_equal(seen->answer.code, "");
    assert_int_equal(strlen(seen->answer.detail), ANSWER_DETAIL_MAX - 1);
    mem_free(seen);

    buf_reset(&body);
    buf_add_text(&body, "{\"type\":\"x/code\",\"detail\":\"");
    add_repeated(&body, 'd', 60000);
    buf_add_text(&body, "\"}");
    seen = problem("", body.data);
    assert_string_equal(seen->answer.code, "code");
    assert_int_equal(strlen(seen->answer.detail), ANSWER_DETAIL_MAX - 1);
    mem_free(seen);
    buf_deinit(&body);
}

static void test_read_text_body_becomes_the_detail(void **state)
{
    static const struct {
        const char *type, *detail;
    } cases[] = {
        {"text/plain", "why not"},        {"text/html; charset=utf-8", "why not"},
        {"application/json", "why not"},  {"application/vnd.x+json", "why not"},
        {"application/octet-stream", ""}, {"image/png", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "HTTP/1.1 500 No\r\nContent-Type: %s\r\nContent-Length: 7\r\n\r\nwhy not",
                   cases[i].type);
        struct seen *seen = whole(text.data);
        assert_string_equal(seen->answer.detail, cases[i].detail);
        mem_free(seen);
        buf_deinit(&text);
    }
}

static void test_problem_text_is_clean_utf8_cut_at_a_character(void **state)
{
    char detail[ANSWER_DETAIL_MAX];
    struct buf text = {0};
    (void)state;

    http_problem_text(SLICE_LIT("a\xff\xc3(\x1b[31m\x7f\tz\xc3\xa9"), detail);
    assert_string_equal(detail, "a\xef\xbf\xbd\xef\xbf\xbd( [31m \tz\xc3\xa9");
    buf_add_char(&text, 'x');
    for (int i = 0; i < 3000; i++)
        buf_add_text(&text, "\xc3\xa9");
    http_problem_text(buf_slice(&text), detail);
    assert_int_equal(strlen(detail), ANSWER_DETAIL_MAX - 1);
    buf_reset(&text);
    for (int i = 0; i < 3000; i++)
        buf_add_text(&text, "\xc3\xa9");
    http_problem_text(buf_slice(&text), detail);
    assert_int_equal(strlen(detail), ANSWER_DETAIL_MAX - 2);
    buf_deinit(&text);
}

static void test_begin_forgets_the_answer_before(void **state)
{
    static const char first[] = "HTTP/1.1 422 No\r\nContent-Length: 3\r\nOncegate-Outcome: drop\r\n"
                                "Oncegate-Error-Code: old\r\nRetry-After: 9\r\n\r\nwhy";
    static const char second[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    struct http_answer answer;
    struct handler_answer read;
    (void)state;

    http_answer_init(&answer);
    http_answer_begin(&answer, MAX_BODY, false);
    assert_int_equal(http_answer_feed(&answer, first, sizeof(first) - 1), HTTP_ANSWER_WHOLE);
    http_answer_begin(&answer, MAX_BODY, false);
    assert_int_equal(http_answer_status(&answer), 0);
    assert_false(answer.started);
    assert_int_equal(http_answer_feed(&answer, second, sizeof(second) - 1), HTTP_ANSWER_WHOLE);
    http_answer_read(&answer, WALL_MS, &read);
    assert_int_equal(read.status, 500);
    assert_false(read.has_outcome);
    assert_string_equal(read.code, "");
    assert_string_equal(read.detail, "");
    assert_int_equal(read.retry_after_ms, -1);
    http_answer_deinit(&answer);
}

/* ---- plain answers, which do not get to the parser ---- */

static const char *const plain_answers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 201 \r\ncontent-length: 2\r\nServer: x, y\r\n\r\nok",
    "HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Type: text/plain\r\nContent-Length: "
    "4\r\n\r\nbusy",
    "HTTP/1.1 422 No\r\nContent-Type: application/problem+json\r\nContent-Length: 16\r\n"
    "Oncegate-Outcome: drop\r\nOncegate-Error-Code: odd\r\n\r\n{\"detail\":\"why\"}",
};

static void test_plain_answers_are_read_without_the_parser(void **state)
{
    static const char *const others[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRetry-After: 1\r\nRetry-After: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    };
    struct http_plain plain;
    (void)state;
    for (size_t i = 0; i < sizeof(plain_answers) / sizeof(plain_answers[0]); i++)
        assert_true(http_plain_read(plain_answers[i], strlen(plain_answers[i]), &plain));
    assert_int_equal(plain.status, 422);
    assert_true(slice_equal_text(plain.body, "{\"detail\":\"why\"}"));
    assert_true(slice_equal_text(plain.values[HTTP_HEADER_OUTCOME], "drop"));
    assert_true(slice_is_null(plain.values[HTTP_HEADER_RETRY_AFTER]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(http_plain_read(others[i], strlen(others[i]), &plain));
}

/* In pieces it is the parser that reads. */
static void assert_read_alike(const char *text, size_t len, uint64_t max_body)
{
    struct seen *all = feed(text, len, 0, max_body, true);
    struct seen *one = feed(text, len, 1, max_body, true);

    if (all->state != one->state)
        print_message("not alike: %.*s\n", (int)len, text);
    assert_int_equal(all->state, one->state);
    if (all->state == HTTP_ANSWER_WHOLE) {
        assert_int_equal(all->answer.error, one->answer.error);
        assert_int_equal(all->answer.status, one->answer.status);
        assert_int_equal(all->answer.has_outcome, one->answer.has_outcome);
        assert_int_equal(all->answer.retry_after_ms, one->answer.retry_after_ms);
        assert_string_equal(all->answer.code, one->answer.code);
        assert_string_equal(all->answer.detail, one->answer.detail);
        /* Bytes behind the answer are seen only by who gets them with it. */
        assert_true(one->keep_alive || !all->keep_alive);
    }
    mem_free(all);
    mem_free(one);
}

static void test_nearly_plain_answers_are_read_as_the_parser_reads_them(void **state)
{
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof(plain_answers) / sizeof(plain_answers[0]); i++) {
        size_t len = strlen(plain_answers[i]);
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                memcpy(text, plain_answers[i], len);
                text[at] = (char)c; /* another byte */
                assert_read_alike(text, len, MAX_BODY);
            }
            memcpy(text, plain_answers[i], len); /* twice */
            memmove(text + at + 1, plain_answers[i] + at, len - at);
            assert_read_alike(text, len + 1, MAX_BODY);
            memcpy(text, plain_answers[i], len); /* missing */
            memmove(text + at, plain_answers[i] + at + 1, len - at - 1);
            assert_read_alike(text, len - 1, MAX_BODY);
            assert_read_alike(plain_answers[i], at, MAX_BODY); /* cut */
        }
        assert_read_alike(plain_answers[i], len, 3); /* a body beyond its bound */
    }
}

/* A batch's answer: the body of a 2xx is the caller's, to the byte and whole, and says no detail.
 */
static void test_kept_bodies_are_whole_or_said_to_be_cut(void **state)
{
    static const struct {
        const char *text, *body, *detail;
        bool cut;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", "", false},
        {"HTTP/1.1 207 X\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         "hello", "", false},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\nContent-Length: 14\r\n\r\n"
         "{\"detail\":\"x\"}",
         "{\"detail\":\"x\"}", "", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n123456789012345678", "1234567890123456", "",
         true},
        {"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\nwhy?", "why?", "why?", false},
        {"HTTP/1.1 204 X\r\n\r\n", "", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step <= 400; step += 399) {
            struct http_answer *answer = mem_zalloc(sizeof(*answer));
            struct handler_answer *said = mem_zalloc(sizeof(*said));
            enum http_answer_state seen = HTTP_ANSWER_MORE;
            size_t len = strlen(cases[i].text);
            http_answer_init(answer);
            http_answer_begin(answer, 16, true);
            for (size_t at = 0; at < len && seen == HTTP_ANSWER_MORE; at += step)
                seen = http_answer_feed(answer, cases[i].text + at,
                                        step < len - at ? step : len - at);
            assert_int_equal(seen, HTTP_ANSWER_WHOLE);
            http_answer_read(answer, WALL_MS, said);
            assert_true(slice_equal_text(buf_slice(&answer->body), cases[i].body));
            assert_string_equal(said->detail, cases[i].detail);
            assert_int_equal(answer->cut, cases[i].cut);
            http_answer_deinit(answer);
            mem_free(answer);
            mem_free(said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_plain_answer_is_whole_and_kept_alive),
        cmocka_unit_test(test_feed_chunked_answer_with_trailers),
        cmocka_unit_test(test_feed_connection_close_and_http10_are_not_kept_alive),
        cmocka_unit_test(test_feed_bytes_behind_the_answer_end_the_connection),
        cmocka_unit_test(test_feed_interim_answers_are_skipped),
        cmocka_unit_test(test_feed_endless_interim_answers_are_refused),
        cmocka_unit_test(test_eof_ends_a_body_without_a_length_only),
        cmocka_unit_test(test_feed_what_is_not_http_is_refused),
        cmocka_unit_test(test_feed_header_limits),
        cmocka_unit_test(test_feed_body_beyond_the_bound_is_decided_by_status),
        cmocka_unit_test(test_read_outcome_and_code_headers),
        cmocka_unit_test(test_read_unreadable_outcome_is_a_protocol_error),
        cmocka_unit_test(test_read_bad_error_code_is_ignored),
        cmocka_unit_test(test_read_retry_after),
        cmocka_unit_test(test_read_problem_json),
        cmocka_unit_test(test_read_answer_headers_beat_problem_json),
        cmocka_unit_test(test_read_deep_or_huge_problem_json_is_text),
        cmocka_unit_test(test_read_text_body_becomes_the_detail),
        cmocka_unit_test(test_problem_text_is_clean_utf8_cut_at_a_character),
        cmocka_unit_test(test_begin_forgets_the_answer_before),
        cmocka_unit_test(test_plain_answers_are_read_without_the_parser),
        cmocka_unit_test(test_nearly_plain_answers_are_read_as_the_parser_reads_them),
        cmocka_unit_test(test_kept_bodies_are_whole_or_said_to_be_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
