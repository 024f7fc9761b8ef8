/*
 * oncegate dlq export: dead letters as JSON lines (letter_line.h) to stdout, in the order of their
 * topics, partitions and offsets. Two readings: which they are, then their bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/letter_line.h"
#include "dlq/snapshot.h"
#include "dlq_export.h"
#include "progress.h"

struct export
{
    struct dlq *dlq;
    uint64_t limit;     /* 0: none */
    struct dlq_id *ids; /* in the order of the log */
    size_t cap;
    size_t count, begin, end; /* begin to end: of the partition that is read */
    uint64_t written;
    bool broken; /* stdout is gone */
    struct progress progress;
};

static int by_place(const void *left, const void *right)
{
    const struct dlq_id *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);
    if (order != 0)
        return order;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool write_record(void *arg, const struct record *rec)
{
    struct export *export = arg;
    while (export->begin < export->end && export->ids[export->begin].offset < rec->offset)
        export->begin++;
    if (export->begin == export->end)
        return false;
    if (export->ids[export->begin].offset == rec->offset) {
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
        const struct dlq_id *first = &export->ids[at];
        struct kafka_reader_range range = {first->topic, first->partition, first->offset};
        export->begin = at;
        while (at < export->count && strcmp(export->ids[at].topic, first->topic) == 0 &&
               export->ids[at].partition == first->partition)
            at++;
        export->end = at;
        if (!dlq_read(export->dlq->loop, export->dlq->config, &range, 1, write_record, export, err))
            return false;
    }
    if (export->broken || fflush(stdout) != 0)
        return err_set(err, ERR_IO, "stdout cannot be written");
    return true;
}

static bool choose(void *arg, const struct dlq_row *row)
{
    struct export *export = arg;
    if (export->limit > 0 && export->count == export->limit)
        return false;
    if (export->count == export->cap) {
        export->cap = export->cap ? 2 * export->cap : 256;
        export->ids = mem_realloc(export->ids, export->cap * sizeof(*export->ids));
    }
    export->ids[export->count++] = (struct dlq_id){mem_strdup(row->topic), row->partition,
                                                   row->offset};
    return true;
}

static bool read_ids(struct export *export, const struct dlq_filter *filter, struct err *err)
{
    struct dlq_covered covered = {0};
    struct dlq_index *index = dlq_read_letters(export->dlq, filter, err);
    bool ok = index && dlq_snapshot_each(index, filter, choose, export, &covered, err);
    dlq_index_close(&index);
    if (ok)
        dlq_say_covered(&covered);
    if (ok && export->count > 0)
        qsort(export->ids, export->count, sizeof(*export->ids), by_place);
    return ok;
}

static int export_all(struct export *export, const struct dlq_filter *filter)
{
    struct err err = {0};
    bool ok;
    if (!read_ids(export, filter, &err))
        return cli_fail(&err);
    progress_begin(&export->progress, "exporting");
    ok = write_all(export, &err);
    progress_end(&export->progress);
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
    int code = EXIT_OK;
    if (!dlq_number(dlq, "--limit", 0, UINT64_MAX, &export.limit))
        return EXIT_USAGE;
    if (dlq_filter_of(dlq, &filter, &code))
        code = dlq->console ? dlq_export_by_console(dlq, &filter, export.limit)
                            : export_all(&export, &filter);
    for (size_t i = 0; i < export.count; i++)
        dlq_id_deinit(&export.ids[i]);
    mem_free(export.ids);
    dlq_filter_deinit(&filter);
    return code;
}
