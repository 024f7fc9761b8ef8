/*
 * Reads one answer. The parser is fed in place and calls back with pieces; only the four headers
 * that mean something are kept, and of the body only the beginning where it may tell why.
 *
 * Interim answers (1xx) are skipped, but their bytes count towards the limits, so that an endless
 * row of them is refused. Trailers are counted and not read: what decides stands in the head.
 * The parser is paused at the end of the final answer: what follows was not asked for.
 *
 * What is whole at once and plain does not get to the parser (http_plain.h).
 */
#include "handler/http_answer.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "handler/http_plain.h"
#include "handler/http_problem.h"

/* A body that is not problem details is kept for its first lines only. */
#define TEXT_KEPT_MAX ANSWER_DETAIL_MAX
/* What a kept body may leave allocated on a connection between answers. */
#define BODY_IDLE_MAX 4096

static const struct {
    const char *name;
    size_t len;
} known_headers[HTTP_KNOWN_HEADERS] = {
    [HTTP_HEADER_OUTCOME] = {"oncegate-outcome", 16},
    [HTTP_HEADER_ERROR_CODE] = {"oncegate-error-code", 19},
    [HTTP_HEADER_RETRY_AFTER] = {"retry-after", 11},
    [HTTP_HEADER_CONTENT_TYPE] = {"content-type", 12},
};

static struct http_answer *answer_of(http_parser *parser)
{
    return parser->data;
}

static int refuse(struct http_answer *answer, const char *problem)
{
    answer->problem = problem;
    return 1;
}

/* Counts bytes of the head; a line is name and value together. */
static int count_head(struct http_answer *answer, size_t len)
{
    if (len > HTTP_LINE_MAX || answer->line_len + len > HTTP_LINE_MAX)
        return refuse(answer, "a header line of the answer is longer than 8 KiB");
    answer->line_len += (uint32_t)len;
    answer->head_len += (uint32_t)len;
    if (answer->head_len > HTTP_HEAD_MAX)
        return refuse(answer, "the head of the answer is longer than 64 KiB");
    return 0;
}

static int on_status(http_parser *parser, const char *at, size_t len)
{
    (void)at;
    return count_head(answer_of(parser), len);
}

static int begin_line(struct http_answer *answer)
{
    answer->line_len = 0;
    answer->name_len = 0;
    answer->known = -1;
    answer->in_value = false;
    answer->head_len += 4; /* ": " and the line's end, so that empty lines count too */
    if (++answer->headers > HTTP_HEADERS_MAX)
        return refuse(answer, "the answer has more than 100 header lines");
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct http_answer *answer = answer_of(parser);

    if ((answer->in_value || answer->headers == 0) && begin_line(answer))
        return 1;
    if (answer->name_len + len <= sizeof(answer->name))
        memcpy(answer->name + answer->name_len, at, len);
    if (count_head(answer, len))
        return 1;
    answer->name_len = (uint16_t)(answer->name_len + len);
    return 0;
}

static int find_known(const struct http_answer *answer)
{
    if (answer->head_done)
        return -1;
    for (int i = 0; i < HTTP_KNOWN_HEADERS; i++) {
        if (answer->name_len == known_headers[i].len &&
            strncasecmp(answer->name, known_headers[i].name, known_headers[i].len) == 0)
            return i;
    }
    return -1;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct http_answer *answer = answer_of(parser);

    if (!answer->in_value) {
        answer->in_value = true;
        answer->known = find_known(answer);
        if (answer->known >= 0 && answer->values[answer->known].seen < UINT8_MAX)
            answer->values[answer->known].seen++;
    }
    if (count_head(answer, len))
        return 1;
    if (answer->known < 0)
        return 0;
    struct http_header_value *value = &answer->values[answer->known];
    size_t room = sizeof(value->text) - value->len;
    size_t take = len < room ? len : room;
    memcpy(value->text + value->len, at, take);
    value->len = (uint16_t)(value->len + take);
    value->cut = value->cut || take < len;
    return 0;
}

/* The value without blanks around it; null where it is missing, repeated or too long to mean it. */
static struct slice value_of(const struct http_answer *answer, enum http_known_header header)
{
    const struct http_header_value *value = &answer->values[header];
    struct slice s = {value->text, value->len};

    if (value->seen != 1 || value->cut)
        return SLICE_NULL;
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    return s;
}

/* The media type without parameters. */
static struct slice media_type(const struct http_answer *answer)
{
    struct slice s = value_of(answer, HTTP_HEADER_CONTENT_TYPE);
    size_t len = 0;

    while (len < s.len && s.data[len] != ';' && s.data[len] != ' ')
        len++;
    s.len = len;
    return s;
}

static bool type_is(struct slice type, const char *text)
{
    return type.len == strlen(text) && strncasecmp(type.data, text, type.len) == 0;
}

static bool is_problem(const struct http_answer *answer)
{
    return type_is(media_type(answer), "application/problem+json");
}

static bool is_text(const struct http_answer *answer)
{
    struct slice type = media_type(answer);

    return type.len == 0 || type_is(type, "application/json") ||
           (type.len > 5 && strncasecmp(type.data, "text/", 5) == 0) ||
           (type.len > 5 && strncasecmp(type.data + type.len - 5, "+json", 5) == 0);
}

static bool is_kept_whole(const struct http_answer *answer)
{
    return answer->keeps_bodies && answer->status / 100 == 2;
}

/* The head of the final answer is whole. */
static void end_head(struct http_answer *answer, int status)
{
    answer->head_done = true;
    answer->status = (uint16_t)status;
    answer->keep_max = is_problem(answer) ? HTTP_BODY_KEPT_MAX
                       : is_text(answer)  ? TEXT_KEPT_MAX
                                          : 0;
    answer->keep_body = answer->keep_max && (status >= 300 || is_problem(answer) ||
                                             answer->values[HTTP_HEADER_OUTCOME].seen);
    if (is_kept_whole(answer)) {
        answer->keep_max = (uint32_t)answer->max_body;
        answer->keep_body = true;
    }
}

static int on_headers_complete(http_parser *parser)
{
    struct http_answer *answer = answer_of(parser);
    unsigned status = parser->status_code;

    if (parser->http_major != 1)
        return refuse(answer, "the answer is not of HTTP/1"), -1;
    if (status == 101)
        return refuse(answer, "the answer switches protocols, which nobody asked for"), -1;
    if (status < 100 || status > 599)
        return refuse(answer, "the status of the answer is not between 100 and 599"), -1;
    if (status < 200)
        return 1; /* no body, whatever its headers say */
    end_head(answer, (int)status);
    return status == 204 || status == 304 ? 1 : 0;
}

static void keep_body(struct http_answer *answer, const char *data, size_t len)
{
    answer->body_len += len;
    if (answer->keep_body && answer->body.len < answer->keep_max) {
        size_t keep = answer->keep_max - answer->body.len;
        buf_add(&answer->body, data, len < keep ? len : keep);
    }
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_answer *answer = answer_of(parser);
    uint64_t room = answer->max_body - answer->body_len;
    size_t allowed = len < room ? len : (size_t)room;

    keep_body(answer, at, allowed);
    if (allowed == len)
        return 0;
    answer->whole = true; /* the status decides; the rest is not worth reading */
    answer->cut = true;
    answer->keep_alive = false;
    http_parser_pause(parser, 1);
    return 0;
}

static void forget_headers(struct http_answer *answer)
{
    for (int i = 0; i < HTTP_KNOWN_HEADERS; i++) {
        answer->values[i].len = 0;
        answer->values[i].seen = 0;
        answer->values[i].cut = false;
    }
}

static int on_message_complete(http_parser *parser)
{
    struct http_answer *answer = answer_of(parser);

    if (!answer->head_done) { /* an interim answer */
        forget_headers(answer);
        answer->line_len = 0;
        return 0;
    }
    answer->whole = true;
    answer->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_status = on_status,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_answer_init(struct http_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
}

void http_answer_deinit(struct http_answer *answer)
{
    buf_deinit(&answer->body);
}

void http_answer_begin(struct http_answer *answer, uint64_t max_body, bool keeps_bodies)
{
    answer->max_body = max_body;
    answer->keeps_bodies = keeps_bodies;
    answer->status = 0;
    answer->body_len = 0;
    answer->head_len = 0;
    answer->line_len = 0;
    answer->headers = 0;
    answer->name_len = 0;
    answer->started = false;
    answer->head_done = false;
    answer->in_value = false;
    answer->whole = false;
    answer->keep_alive = false;
    answer->keep_body = false;
    answer->cut = false;
    answer->known = -1;
    answer->problem = NULL;
    forget_headers(answer);
    if (answer->body.cap > BODY_IDLE_MAX)
        buf_deinit(&answer->body);
    else if (answer->body.len)
        buf_reset(&answer->body);
}

static bool take_plain(struct http_answer *answer, const char *data, size_t len)
{
    struct http_plain plain;

    if (!http_plain_read(data, len, &plain) || plain.body.len > answer->max_body)
        return false;
    for (int i = 0; i < HTTP_KNOWN_HEADERS; i++) {
        struct http_header_value *value = &answer->values[i];
        if (slice_is_null(plain.values[i]))
            continue;
        value->seen = 1;
        value->len = (uint16_t)plain.values[i].len;
        memcpy(value->text, plain.values[i].data, plain.values[i].len);
    }
    end_head(answer, plain.status);
    keep_body(answer, plain.body.data, plain.body.len);
    answer->whole = true;
    answer->keep_alive = true;
    return true;
}

enum http_answer_state http_answer_feed(struct http_answer *answer, const char *data, size_t len)
{
    if (len == 0)
        return HTTP_ANSWER_MORE; /* the parser takes 0 bytes for the end of the stream */
    if (!answer->started) {
        answer->started = true;
        if (take_plain(answer, data, len))
            return HTTP_ANSWER_WHOLE;
        http_parser_init(&answer->parser, HTTP_RESPONSE);
        answer->parser.data = answer;
    }
    size_t used = http_parser_execute(&answer->parser, &settings, data, len);
    if (answer->whole) {
        if (used < len)
            answer->keep_alive = false;
        return HTTP_ANSWER_WHOLE;
    }
    enum http_errno why = HTTP_PARSER_ERRNO(&answer->parser);
    if (why == HPE_OK && !answer->parser.upgrade)
        return HTTP_ANSWER_MORE;
    if (!answer->problem)
        answer->problem = why == HPE_OK ? "the answer asks for another protocol"
                                        : http_errno_description(why);
    return HTTP_ANSWER_BROKEN;
}

enum http_answer_state http_answer_eof(struct http_answer *answer)
{
    if (answer->head_done && !answer->whole)
        http_parser_execute(&answer->parser, &settings, NULL, 0);
    if (!answer->whole)
        return HTTP_ANSWER_MORE;
    answer->keep_alive = false;
    return HTTP_ANSWER_WHOLE;
}

int http_answer_status(const struct http_answer *answer)
{
    return answer->status;
}

bool http_answer_outcome(struct slice s, enum outcome *out)
{
    static const struct {
        const char *name;
        enum outcome outcome;
    } outcomes[] = {
        {"success", OUTCOME_SUCCESS},
        {"retry", OUTCOME_RETRY},
        {"dead-letter", OUTCOME_DEAD_LETTER},
        {"drop", OUTCOME_DROP},
        {"pause", OUTCOME_PAUSE},
    };
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (type_is(s, outcomes[i].name)) {
            *out = outcomes[i].outcome;
            return true;
        }
    }
    return false;
}

int64_t http_answer_retry_after(struct slice s, int64_t wall_ms)
{
    const uint64_t seconds_max = UINT64_C(10) * 366 * 86400; /* so that ms never overflow */
    uint64_t seconds;
    int64_t date_s;

    if (str_to_u64(s, &seconds))
        return (int64_t)(seconds < seconds_max ? seconds : seconds_max) * 1000;
    if (!str_http_date_to_s(s, &date_s))
        return -1;
    int64_t after_ms = date_s * 1000 - wall_ms;
    return after_ms > 0 ? after_ms : 0;
}

static void read_body(const struct http_answer *answer, struct handler_answer *out)
{
    struct slice body = buf_slice(&answer->body);

    if (!answer->keep_body || body.len == 0 || is_kept_whole(answer))
        return;
    /* A body that was cut is no JSON any more; its beginning still reads as text. */
    if (is_problem(answer) && http_problem_read(body, out->code, out->detail))
        return;
    http_problem_text(body, out->detail);
}

void http_answer_read(const struct http_answer *answer, int64_t wall_ms, struct handler_answer *out)
{
    out->error = HANDLER_OK;
    out->status = http_answer_status(answer);
    out->has_outcome = false;
    out->retry_after_ms = -1;
    out->code[0] = '\0';
    out->detail[0] = '\0';
    read_body(answer, out);

    struct slice code = value_of(answer, HTTP_HEADER_ERROR_CODE);
    if (http_problem_is_code(code)) {
        memcpy(out->code, code.data, code.len);
        out->code[code.len] = '\0';
    }
    if (answer->values[HTTP_HEADER_RETRY_AFTER].seen)
        out->retry_after_ms = http_answer_retry_after(value_of(answer, HTTP_HEADER_RETRY_AFTER),
                                                      wall_ms);
    if (!answer->values[HTTP_HEADER_OUTCOME].seen)
        return;
    out->has_outcome = http_answer_outcome(value_of(answer, HTTP_HEADER_OUTCOME), &out->outcome);
    if (!out->has_outcome) {
        /* Whoever sends it does not want what the status says: a misspelt one must not pass for it.
         */
        out->error = HANDLER_PROTOCOL;
        http_problem_text(
            SLICE_LIT("Oncegate-Outcome is none of success, retry, dead-letter, drop, "
                      "pause, or comes twice"),
            out->detail);
    }
}
