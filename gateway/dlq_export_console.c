/*
 * oncegate dlq export --console URL: the lines that the console gives, as they come. Its last line
 * says whether these are all; it is read here and not written, so the output is that of an export
 * from the topics. Must not: end as if all were there where that line does not say so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "console_ask.h"
#include "dlq/letter_import.h"
#include "dlq_export.h"
#include "progress.h"
#include "record/json_field.h"
#include "text_out.h"

struct taking {
    struct buf part; /* of a line */
    uint64_t written, masked, told;
    bool ended, complete, broken; /* broken: stdout is gone */
    struct buf why;
    struct progress progress;
};

static void read_end(struct taking *taking, struct slice line)
{
    struct json_field fields[] = {
        {.pointer = "/end/complete"}, {.pointer = "/end/why"}, {.pointer = "/end/letters"}};
    struct buf store = {0};
    struct slice why;
    buf_reserve(&store, line.len + 1);
    taking->ended = json_find(line, fields, 3);
    taking->complete = taking->ended && slice_equal_text(fields[0].raw, "true");
    if (!taking->ended || fields[2].kind != JSON_NUMBER ||
        !str_to_u64(fields[2].raw, &taking->told))
        taking->told = UINT64_MAX;
    if (taking->ended && fields[1].kind == JSON_STRING &&
        json_string_bytes(fields[1].raw, &store, &why))
        text_add_safe(&taking->why, why, false);
    buf_deinit(&store);
}

static bool take_line(struct taking *taking, struct slice line)
{
    static const char masked[] = "{\"masked\"";
    if (letter_import_is_end(line)) {
        read_end(taking, line);
        return true;
    }
    taking->broken = fwrite(line.data, 1, line.len, stdout) != line.len || putchar('\n') == EOF;
    taking->masked += line.len >= sizeof(masked) - 1 &&
                      memcmp(line.data, masked, sizeof(masked) - 1) == 0;
    taking->written += !taking->broken;
    progress_show(&taking->progress, taking->written, 0);
    return !taking->broken;
}

static bool take(void *arg, struct slice bytes)
{
    struct taking *taking = arg;
    bool on = true;
    while (on && bytes.len > 0) {
        const char *feed = memchr(bytes.data, '\n', bytes.len);
        size_t len = feed ? (size_t)(feed - bytes.data) : bytes.len;
        buf_add(&taking->part, bytes.data, len);
        bytes.data += len + (feed != NULL);
        bytes.len -= len + (feed != NULL);
        if (feed) {
            on = take_line(taking, buf_slice(&taking->part));
            buf_reset(&taking->part);
        }
    }
    return on;
}

/* What came is what it says, and nothing of it is missing; else err. */
static bool is_whole(const struct taking *taking, bool ok, struct err *err)
{
    bool stopped = taking->ended && !taking->complete && !ok;
    if (taking->broken || fflush(stdout) != 0)
        return err_set(err, ERR_IO, "stdout cannot be written");
    if (stopped)
        return err_set_retriable(err, ERR_UNAVAILABLE, "the export stopped: %.300s",
                                 taking->why.data ? taking->why.data : "");
    if (!ok)
        return false;
    return (taking->ended && taking->told == taking->written) ||
           err_set(err, ERR_PROTOCOL, "the export does not say that it is whole");
}

static struct buf order_text(const struct dlq_filter *filter, uint64_t limit)
{
    struct buf text = {0};
    buf_add_text(&text, "{\"filter\":");
    dlq_filter_to_json(filter, &text);
    if (limit > 0 && limit <= UINT32_MAX)
        buf_printf(&text, ",\"limit\":%" PRIu64, limit);
    buf_add_char(&text, '}');
    return text;
}

int dlq_export_by_console(struct dlq *dlq, const struct dlq_filter *filter, uint64_t limit)
{
    struct taking taking = {0};
    struct buf order = order_text(filter, limit), answer = {0};
    struct console_client_request request = {
        .path = "/api/v1/export", .body = buf_slice(&order), .take = take, .arg = &taking};
    struct err err = {0};
    int code = EXIT_OK;
    bool ok;
    progress_begin(&taking.progress, "exporting");
    ok = console_client_send(dlq->console, &request, &answer, NULL, &err);
    progress_end(&taking.progress);
    ok = is_whole(&taking, ok, &err);
    if (ok || taking.written > 0)
        fprintf(stderr, "%" PRIu64 " dead letters were exported\n", taking.written);
    if (taking.masked > 0)
        fprintf(stderr,
                "oncegate: of %" PRIu64 " of them parts are hidden from this role: these lines say "
                "so, and cannot be imported\n",
                taking.masked);
    if (!ok) {
        code = cli_fail(&err);
    } else if (!taking.complete) {
        fprintf(stderr, "oncegate: not complete: %s\n", taking.why.data ? taking.why.data : "");
        code = EXIT_PARTLY;
    }
    buf_deinit(&taking.part);
    buf_deinit(&taking.why);
    buf_deinit(&order);
    buf_deinit(&answer);
    return code;
}
