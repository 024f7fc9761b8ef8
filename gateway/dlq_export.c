/*
 * oncegate dlq export: dead letters as JSON lines (letter_line.h) to stdout, in the order of their
 * topics, partitions and offsets. Two readings: which they are, then their bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dlq/letter_line.h"
#include "dlq_view.h"
#include "progress.h"

struct export
{
    struct dlq *dlq;
    struct letter_row **rows; /* in the order of the log */
    size_t count, begin, end; /* begin to end: of the partition that is read */
    uint64_t written;
    bool broken; /* stdout is gone */
    struct progress progress;
};

static int by_place(const void *left, const void *right)
{
    const struct letter_row *a = *(struct letter_row *const *)left;
    const struct letter_row *b = *(struct letter_row *const *)right;
    int order = strcmp(a->topic->name, b->topic->name);
    if (order != 0)
        return order;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool write_record(void *arg, const struct record *rec)
{
    struct export *export = arg;
    while (export->begin < export->end && export->rows[export->begin]->offset < rec->offset)
        export->begin++;
    if (export->begin == export->end)
        return false;
    if (export->rows[export->begin]->offset == rec->offset) {
        struct buf line = {0};
        letter_line_write(&line, rec);
        export->broken = fwrite(line.data, 1, line.len, stdout) != line.len;
        buf_deinit(&line);
        export->begin++;
        export->written += !export->broken;
        progress_show(&export->progress, export->written, export->count);
    }
    return !export->broken && export->begin < export->end;
}

static bool write_all(struct export *export, struct err *err)
{
    size_t at = 0;
    while (at < export->count && !export->broken) {
        const struct letter_row *first = export->rows[at];
        struct kafka_reader_range range = {first->topic->name, first->partition, first->offset};
        export->begin = at;
        while (at < export->count && export->rows[at]->topic == first->topic &&
               export->rows[at]->partition == first->partition)
            at++;
        export->end = at;
        if (!dlq_read(export->dlq->loop, export->dlq->config, &range, 1, write_record, export, err))
            return false;
    }
    if (export->broken || fflush(stdout) != 0)
        return err_set(err, ERR_IO, "stdout cannot be written");
    return true;
}

static int export_rows(struct export *export, const struct dlq_view *view, uint64_t limit)
{
    struct err err = {0};
    bool ok;
    export->rows = mem_calloc(view->count + 1, sizeof(struct letter_row *));
    for (size_t i = 0; i < view->count && (limit == 0 || export->count < limit); i++) {
        if (dlq_view_takes(view, view->rows[i]))
            export->rows[export->count++] = view->rows[i];
    }
    qsort(export->rows, export->count, sizeof(struct letter_row *), by_place);
    progress_begin(&export->progress, "exporting");
    ok = write_all(export, &err);
    progress_end(&export->progress);
    mem_free(export->rows);
    fprintf(stderr, "%" PRIu64 " of %zu dead letters were exported\n", export->written,
            export->count);
    if (!ok)
        return cli_fail(&err);
    return export->written == export->count ? EXIT_OK : EXIT_PARTLY;
}

int dlq_export(struct dlq *dlq)
{
    struct export export = {.dlq = dlq};
    struct dlq_filter filter;
    struct dlq_view view = {0};
    struct err err = {0};
    uint64_t limit;
    int code;
    if (!dlq_number(dlq, "--limit", 0, UINT64_MAX, &limit))
        return EXIT_USAGE;
    if (!dlq_filter_of(dlq, &filter, &err))
        return cli_usage("dlq export", "%s", err.text);
    code = dlq_view_read(&view, dlq, &filter, &err) ? export_rows(&export, &view, limit)
                                                    : cli_fail(&err);
    dlq_view_free(&view);
    dlq_filter_deinit(&filter);
    return code;
}
