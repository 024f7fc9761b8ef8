/*
 * oncegate dlq import --console URL: lines of any number, in pieces that a console takes. Each
 * piece is looked at there in a first pass over all of them, so that a bad line is known before
 * anything is produced; a second pass sends. What an export says at its end is looked at here,
 * since it counts over all pieces. A line is never changed on the way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/mem.h"
#include "console_ask.h"
#include "dlq/letter_import.h"
#include "dlq_import.h"
#include "import_plan.h"
#include "progress.h"

#define PIECE_BYTES (256u << 10) /* a quarter of what a console takes by itself */
#define PIECE_LINES 5000

struct import {
    struct dlq *dlq;
    struct import_lines *lines;
    bool first; /* pass */
    struct buf path, piece;
    uint64_t numbers[PIECE_LINES]; /* of the piece's lines in the file */
    size_t count;
    struct letter_import ends;
    struct import_plan plan;
    uint64_t produced;
    struct progress progress;
};

/* ---- what the console says of a piece ---- */

static void read_look(struct import *import, struct json_object *answer)
{
    struct json_object *problems = answer_member(answer, "problems");
    struct json_object *topics = answer_member(answer, "topics");
    uint64_t bad = (uint64_t)answer_number(answer, "bad");
    for (size_t i = 0; i < answer_count(problems); i++) {
        struct json_object *problem = json_object_array_get_idx(problems, i);
        uint64_t line = (uint64_t)answer_number(problem, "line");
        if (line >= 1 && line <= import->count && bad > 0) {
            bad--;
            import_plan_add_bad(&import->plan, import->numbers[line - 1],
                                (size_t)answer_number(problem, "column"),
                                answer_text(problem, "text"));
        }
    }
    import->plan.bad += bad; /* that are not told one by one */
    for (size_t i = 0; i < answer_count(topics); i++) {
        struct json_object *told = json_object_array_get_idx(topics, i);
        import_plan_add(&import->plan, answer_text(told, "topic"),
                        (uint64_t)answer_number(told, "letters"));
    }
}

static bool send_piece(struct import *import, struct err *err)
{
    struct console_client_request request = {.path = import->path.data,
                                             .body = buf_slice(&import->piece),
                                             .type = "application/x-ndjson"};
    const struct import_plan *plan = &import->plan;
    struct json_object *answer;
    if (import->count == 0)
        return true;
    answer = console_ask_with(import->dlq->console, &request, err);
    if (!answer)
        return false;
    if (import->first)
        read_look(import, answer);
    import->produced += (uint64_t)answer_number(answer, "produced");
    json_object_put(answer);
    progress_show(&import->progress, import->first ? plan->good + plan->bad : import->produced,
                  import->first ? 0 : plan->good);
    buf_reset(&import->piece);
    import->count = 0;
    return true;
}

/* ---- passes ---- */

static bool add_line(struct import *import, struct slice line, struct err *err)
{
    bool full = import->count == PIECE_LINES ||
                (import->count > 0 && import->piece.len + line.len >= PIECE_BYTES);
    if (full && !send_piece(import, err))
        return false;
    import->numbers[import->count++] = import->lines->number;
    import->ends.since_end++;
    buf_add_slice(&import->piece, line);
    buf_add_char(&import->piece, '\n');
    return true;
}

static bool pass(struct import *import, const char *params, struct err *err)
{
    struct slice line;
    bool ok = true;
    buf_reset(&import->path);
    buf_printf(&import->path, "/api/v1/import?%s", params);
    import->ends = (struct letter_import){.count = 0};
    import_lines_rewind(import->lines);
    while (ok && import_lines_next(import->lines, &line)) {
        struct err bad = {0};
        if (!letter_import_is_end(line))
            ok = add_line(import, line, err);
        else if (!letter_import_end_fits(&import->ends, line, &bad) && import->first)
            import_plan_add_bad(&import->plan, import->lines->number, 1, bad.text);
    }
    return ok && send_piece(import, err) && import_lines_good(import->lines, err);
}

static bool look(struct import *import, struct err *err)
{
    bool ok;
    import->first = true;
    progress_begin(&import->progress, "looking at lines");
    ok = pass(import, "dry_run=true", err);
    progress_end(&import->progress);
    import->first = false;
    return ok;
}

static int send_all(struct import *import)
{
    const char *reason = cli_option(import->dlq->cli, "--reason");
    struct buf params = {0};
    struct err err = {0};
    bool ok;
    buf_add_text(&params, "?skip_bad=true");
    if (reason)
        console_client_add_param(&params, "reason", slice_of(reason));
    progress_begin(&import->progress, "importing");
    ok = pass(import, params.data + 1, &err);
    progress_end(&import->progress);
    buf_deinit(&params);
    return import_plan_ended(&import->plan, import->produced, ok ? NULL : &err);
}

static int run(struct import *import)
{
    struct err err = {0};
    int code = EXIT_OK;
    bool looked = look(import, &err);
    return import_plan_may(&import->plan, looked, &err, &code) ? send_all(import) : code;
}

int dlq_import_by_console(struct dlq *dlq, struct import_lines *lines)
{
    struct import *import = mem_zalloc(sizeof(*import));
    int code;
    import->dlq = dlq;
    import->lines = lines;
    import->plan = (struct import_plan){.dlq = dlq, .lines = lines};
    code = run(import);
    import_plan_deinit(&import->plan);
    buf_deinit(&import->path);
    buf_deinit(&import->piece);
    mem_free(import);
    return code;
}
