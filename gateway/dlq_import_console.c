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
#include "progress.h"

#define PIECE_BYTES (256u << 10) /* a quarter of what a console takes by itself */
#define PIECE_LINES 5000

struct topic_count {
    char *topic;
    uint64_t letters;
};

struct import {
    struct dlq *dlq;
    struct import_lines *lines;
    bool first; /* pass */
    struct buf path, piece;
    uint64_t numbers[PIECE_LINES]; /* of the piece's lines in the file */
    size_t count;
    struct letter_import ends;
    uint64_t good, bad, produced;
    struct topic_count *topics;
    size_t topic_count;
    struct progress progress;
};

/* ---- what the console says of a piece ---- */

static void count_topic(struct import *import, struct json_object *told)
{
    const char *name = answer_text(told, "topic");
    size_t at = 0;
    while (at < import->topic_count && strcmp(import->topics[at].topic, name) != 0)
        at++;
    if (at == import->topic_count) {
        import->topics = mem_realloc(import->topics, (at + 1) * sizeof(*import->topics));
        import->topics[import->topic_count++] = (struct topic_count){mem_strdup(name), 0};
    }
    import->topics[at].letters += (uint64_t)answer_number(told, "letters");
}

static void note_bad(struct import *import, uint64_t number, size_t column, const char *what)
{
    if (++import->bad <= IMPORT_BAD_SHOWN)
        import_lines_complain(import->lines, number, column, what);
}

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
            note_bad(import, import->numbers[line - 1], (size_t)answer_number(problem, "column"),
                     answer_text(problem, "text"));
        }
    }
    import->bad += bad; /* that are not told one by one */
    for (size_t i = 0; i < answer_count(topics); i++)
        count_topic(import, json_object_array_get_idx(topics, i));
    import->good += (uint64_t)answer_number(answer, "letters");
}

static bool send_piece(struct import *import, struct err *err)
{
    struct console_client_request request = {.path = import->path.data,
                                             .body = buf_slice(&import->piece),
                                             .type = "application/x-ndjson"};
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
    progress_show(&import->progress, import->first ? import->good + import->bad : import->produced,
                  import->first ? 0 : import->good);
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
            note_bad(import, import->lines->number, 1, bad.text);
    }
    return ok && send_piece(import, err) && import_lines_good(import->lines, err);
}

static bool look(struct import *import, bool skip_bad, struct err *err)
{
    bool ok;
    import->first = true;
    progress_begin(&import->progress, "looking at lines");
    ok = pass(import, "dry_run=true", err);
    progress_end(&import->progress);
    import->first = false;
    import_lines_say_more(import->lines, import->bad);
    return ok && import_lines_may(import->good, import->bad, skip_bad, err);
}

static int send_all(struct import *import)
{
    const char *reason = cli_option(import->dlq->cli, "--reason");
    struct buf params = {0};
    struct err err = {0};
    int code = import->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    bool ok;
    buf_add_text(&params, "?skip_bad=true");
    if (reason)
        console_client_add_param(&params, "reason", slice_of(reason));
    progress_begin(&import->progress, "importing");
    ok = pass(import, params.data + 1, &err);
    progress_end(&import->progress);
    buf_deinit(&params);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " dead letters were produced\n", import->produced,
            import->good);
    if (ok)
        return code;
    code = cli_fail(&err);
    return import->produced > 0 ? EXIT_PARTLY : code;
}

static void say_plan(const struct import *import)
{
    for (size_t i = 0; i < import->topic_count; i++)
        fprintf(stderr, "%" PRIu64 " to %s\n", import->topics[i].letters, import->topics[i].topic);
    fprintf(stderr, "%" PRIu64 " dead letters, %" PRIu64 " bad lines left out\n", import->good,
            import->bad);
}

static int run(struct import *import)
{
    char question[120];
    struct err err = {0};
    int code = EXIT_OK;
    if (!look(import, cli_flag(import->dlq->cli, "--skip-bad"), &err))
        return cli_fail(&err);
    say_plan(import);
    if (cli_flag(import->dlq->cli, "--dry-run") || import->good == 0)
        return import->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    snprintf(question, sizeof(question),
             "%" PRIu64 " records are to be produced, as new dead letters.", import->good);
    return dlq_may(import->dlq, question, &code) ? send_all(import) : code;
}

int dlq_import_by_console(struct dlq *dlq, struct import_lines *lines)
{
    struct import *import = mem_zalloc(sizeof(*import));
    int code;
    import->dlq = dlq;
    import->lines = lines;
    code = run(import);
    for (size_t i = 0; i < import->topic_count; i++)
        mem_free(import->topics[i].topic);
    mem_free(import->topics);
    buf_deinit(&import->path);
    buf_deinit(&import->piece);
    mem_free(import);
    return code;
}
