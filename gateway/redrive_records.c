/*
 * See redrive_records.h. The same question that the console asks of its index, so both say the
 * same.
 */
#include "redrive_records.h"

#include <stdio.h>

#include <json-c/json.h>

#include "console_letters.h"
#include "dlq/patience.h"
#include "dlq/redrive_skipped.h"
#include "dlq/snapshot.h"
#include "json_print.h"
#include "kafka/fetch.h"
#include "progress.h"
#include "table.h"
#include "text_out.h"

#define PAGE         1000
#define CONSOLE_PAGE 500 /* the most that the API gives at once */

struct printing {
    const struct cli *cli;
    enum output output;
    unsigned results;        /* as dlq_index_job has them */
    struct json_object *all; /* of OUTPUT_JSON */
    struct table *table;
    bool good;
};

/* ---- printing ---- */

static struct slice key_of(const struct dlq_job_row *row)
{
    return row->line ? row->line->key : SLICE_NULL;
}

static struct json_object *row_json(const struct dlq_job_row *row)
{
    struct json_object *object = json_object_new_object();
    json_add_text(object, "id", row->id);
    json_add_text(object, "result", dlq_job_result_name(row->result));
    json_add_text(object, "skipped", row->skipped[0] ? row->skipped : NULL);
    json_add_bytes(object, "code", row->code[0] ? slice_of(row->code) : SLICE_NULL);
    json_add_time(object, "at", row->at_ms);
    json_add_uint(object, "redrive_count", row->count);
    json_add_text(object, "since", row->since[0] ? row->since : NULL);
    json_add_bytes(object, "key", key_of(row));
    json_add_text(object, "state", row->line ? dlq_state_name(row->line->state) : NULL);
    return object;
}

static void add_line(struct table *table, const struct dlq_job_row *row)
{
    char at[TEXT_TIME_MAX] = "";
    if (row->at_ms > 0)
        text_time_short(row->at_ms, at);
    if (row->result == LETTER_RESULT_FAILED)
        table_tone(table, "31");
    table_cell_text(table, dlq_job_result_name(row->result));
    table_cell_text(table, row->skipped[0] ? row->skipped : row->code);
    table_cell_text(table, at);
    table_cell(table, key_of(row));
    table_cell_text(table, row->id);
    table_cell_text(table, row->line ? dlq_state_name(row->line->state) : "gone");
    table_cell_text(table, row->since);
}

static bool each(void *arg, const struct dlq_job_row *row)
{
    struct printing *printing = arg;
    struct json_object *line;
    switch (printing->output) {
    case OUTPUT_TABLE:
        add_line(printing->table, row);
        return true;
    case OUTPUT_JSON:
        json_object_array_add(printing->all, row_json(row));
        return true;
    case OUTPUT_JSONL:
        line = row_json(row);
        printing->good = json_print(line, false);
        json_object_put(line);
        return printing->good;
    }
    return false;
}

static struct table *make_table(void)
{
    struct table *table = table_new();
    table_column(table, "RESULT", TABLE_LEFT, false);
    table_column(table, "CODE OR WHY", TABLE_LEFT, true);
    table_column(table, "AT", TABLE_LEFT, false);
    table_column(table, "KEY", TABLE_LEFT, true);
    table_column(table, "LETTER", TABLE_LEFT, true);
    table_column(table, "NOW", TABLE_LEFT, false);
    table_column(table, "SENT AGAIN BY", TABLE_LEFT, true);
    return table;
}

static bool finish(struct printing *printing, struct err *err)
{
    struct buf out = {0};
    if (printing->output == OUTPUT_JSON) {
        printing->good = json_print(printing->all, true);
    } else if (printing->output == OUTPUT_TABLE && table_rows(printing->table) == 0) {
        fputs("no records: it has none that end like that\n", stderr);
    } else if (printing->output == OUTPUT_TABLE) {
        table_write(printing->table, text_columns(), printing->cli->color, &out);
        printing->good = fwrite(out.data, 1, out.len, stdout) == out.len;
    }
    buf_deinit(&out);
    return printing->good || err_set(err, ERR_IO, "stdout cannot be written");
}

static bool begin(struct printing *printing, struct cli *cli, struct err *err)
{
    const char *value;
    unsigned result;
    *printing = (struct printing){.cli = cli, .output = json_output_of(cli), .good = true};
    while ((value = cli_option(cli, "--result")) != NULL) {
        if (!dlq_job_result_parse(slice_of(value), &result))
            return err_set(err, ERR_USAGE, "--result: there is no %s", value);
        printing->results |= 1u << result;
    }
    printing->all = json_object_new_array();
    printing->table = make_table();
    return true;
}

static void end(struct printing *printing)
{
    json_object_put(printing->all);
    table_free(&printing->table);
}

/* ---- from the topics ---- */

static void show(void *arg, uint64_t records)
{
    progress_show(arg, records, 0);
}

struct fetching {
    struct redrive_skipped *list;
    bool done;
    struct err err;
};

static void fetched(void *arg, enum kafka_fetched result, struct record *rec, const struct err *err)
{
    struct fetching *fetching = arg;
    fetching->done = true;
    if (result == KAFKA_FETCHED)
        fetching->list = redrive_skipped_read(rec->value, &fetching->err);
    else if (err)
        fetching->err = *err;
    else
        (void)err_set_retriable(&fetching->err, ERR_AGAIN,
                                "the list of what it skipped was written anew: try again");
}

/* NULL, and no err: it was stopped. */
static struct redrive_skipped *fetch_skipped(struct loop *loop, const struct config *config,
                                             const struct redrive_records *of, const bool *stopped,
                                             struct err *err)
{
    struct fetching fetching = {0};
    struct patience patience;
    struct kafka_fetch *fetch = kafka_fetch_new(loop, config, of->group, err);
    bool quiet = false;
    if (!fetch)
        return NULL;
    kafka_fetch_get(fetch, of->topic, LETTER_STATE_PARTITION, of->skipped_at, fetched, &fetching);
    patience_begin(&patience, loop);
    while (!fetching.done && !quiet && !*stopped)
        quiet = !patience_turn(&patience);
    patience_end(&patience);
    kafka_fetch_free(&fetch);
    if (quiet && !fetching.done)
        (void)err_set_retriable(&fetching.err, ERR_UNAVAILABLE,
                                "Kafka does not give the list of what it skipped");
    *err = fetching.err;
    return fetching.list;
}

static bool print_skipped(struct dlq_index *index, const struct redrive_skipped *list,
                          struct printing *printing, struct err *err)
{
    uint64_t count = redrive_skipped_count(list);
    struct dlq_covered covered;
    for (uint64_t at = 0; at < count && printing->good; at += PAGE) {
        if (!dlq_index_job_skipped(index, list, at, PAGE, each, printing, &covered, err))
            return false;
    }
    return true;
}

static bool print_index(struct dlq_index *index, const char *job, struct printing *printing,
                        struct err *err)
{
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX] = "";
    struct dlq_covered covered;
    bool ok;
    do {
        memcpy(cursor, next, sizeof(cursor));
        ok = dlq_index_job(index, job, printing->results, cursor, PAGE, each, printing, next,
                           &covered, err);
    } while (ok && printing->good && next[0]);
    return ok;
}

bool redrive_records_print(struct cli *cli, struct loop *loop, const struct config *config,
                           const struct redrive_records *of, const bool *stopped, struct err *err)
{
    struct printing printing;
    struct redrive_skipped *list = NULL;
    struct progress progress;
    struct dlq_filter all;
    struct dlq_snapshot ask = {
        .loop = loop, .config = config, .filter = &all, .progress = show, .arg = &progress};
    struct dlq_index *index;
    bool ok, skipped;
    if (!begin(&printing, cli, err))
        return false;
    dlq_filter_init(&all);
    skipped = of->skipped_at >= 0 &&
              (printing.results == 0 || (printing.results >> DLQ_JOB_SKIPPED & 1));
    if (skipped)
        list = fetch_skipped(loop, config, of, stopped, err);
    if (skipped && !list) {
        end(&printing);
        return false;
    }
    progress_begin(&progress, "reading dead letters");
    index = dlq_snapshot_take(&ask, err);
    progress_end(&progress);
    ok = index && !*stopped && print_index(index, of->job, &printing, err) &&
         (!list || print_skipped(index, list, &printing, err)) && finish(&printing, err);
    redrive_skipped_free(&list);
    dlq_index_close(&index);
    dlq_filter_deinit(&all);
    end(&printing);
    return ok;
}

/* ---- from a console ---- */

static unsigned result_of(const char *name)
{
    unsigned result;
    return dlq_job_result_parse(slice_of(name), &result) ? result : DLQ_JOB_UNKNOWN;
}

static bool print_answered(struct json_object *record, struct printing *printing)
{
    struct json_object *letter = answer_member(record, "letter");
    struct buf store = {0};
    struct dlq_row line;
    struct dlq_job_row row = {.id = answer_text(record, "id"),
                              .result = result_of(answer_text(record, "result")),
                              .skipped = answer_text(record, "skipped"),
                              .code = answer_text(record, "code"),
                              .at_ms = answer_ms(record, "at"),
                              .count = (uint32_t)answer_number(record, "redrive_count"),
                              .since = answer_text(record, "since")};
    bool on;
    if (letter) {
        console_row(letter, &store, &line);
        row.line = &line;
    }
    on = each(printing, &row);
    buf_deinit(&store);
    return on;
}

/* One page; next: its cursor, then the next one's. */
static bool print_page(struct console_client *console, const char *job, struct printing *printing,
                       struct buf *next, struct err *err)
{
    struct buf path = {0};
    struct json_object *answer, *list;
    buf_add_text(&path, "/api/v1/jobs");
    console_client_add_segment(&path, slice_of(job));
    buf_printf(&path, "/records?limit=%d", CONSOLE_PAGE);
    for (unsigned result = 0; result < DLQ_JOB_RESULTS; result++) {
        if (printing->results >> result & 1)
            console_client_add_param(&path, "result", slice_of(dlq_job_result_name(result)));
    }
    if (next->len > 0)
        console_client_add_param(&path, "cursor", buf_slice(next));
    answer = console_ask(console, path.data, NULL, err);
    buf_deinit(&path);
    buf_reset(next);
    if (!answer)
        return false;
    list = answer_member(answer, "records");
    for (size_t i = 0; printing->good && i < answer_count(list); i++)
        (void)print_answered(json_object_array_get_idx(list, i), printing);
    buf_add_text(next, answer_text(answer, "next"));
    json_object_put(answer);
    return true;
}

bool redrive_records_of_console(struct cli *cli, struct console_client *console, const char *job,
                                struct err *err)
{
    struct printing printing;
    struct buf next = {0};
    bool ok;
    if (!begin(&printing, cli, err))
        return false;
    do {
        ok = print_page(console, job, &printing, &next, err);
    } while (ok && printing.good && next.len > 0);
    ok = ok && finish(&printing, err);
    buf_deinit(&next);
    end(&printing);
    return ok;
}
