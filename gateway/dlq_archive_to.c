/*
 * oncegate dlq archive-to DIR: keeps each dead letter in files, before Kafka's retention takes it.
 * A run goes on behind what the folder has; see archive_folder.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "archive_folder.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/letter_line.h"
#include "progress.h"

#define FILE_BYTES   (16u << 20) /* a file is closed when it has more */
#define FILE_RECORDS 50000

struct keep {
    struct dlq *dlq;
    struct archive_folder *folder;
    struct buf lines;
    struct archive_file file; /* that is being gathered; its lines stand in lines */
    uint64_t kept, files;
    struct err err;
    struct progress progress;
};

/* What was read so far is kept. */
static bool close_file(struct keep *keep, struct err *err)
{
    bool ok;
    if (keep->file.records == 0)
        return true;
    keep->file.lines = buf_slice(&keep->lines);
    ok = archive_folder_add(keep->folder, &keep->file, err);
    if (ok) {
        keep->kept += keep->file.records;
        keep->files++;
    }
    buf_reset(&keep->lines);
    keep->file.records = 0;
    return ok;
}

static bool take(void *arg, const struct record *rec)
{
    struct keep *keep = arg;
    int64_t next = archive_folder_next(keep->folder);
    if (keep->file.records == 0) {
        keep->file.first = rec->offset;
        if (next > 0 && rec->offset > next)
            fprintf(stderr, "%s: offsets %" PRId64 " to %" PRId64 " hold nothing (any more)\n",
                    archive_folder_place(keep->folder), next, rec->offset - 1);
    }
    letter_line_write(&keep->lines, rec);
    keep->file.last = rec->offset;
    keep->file.records++;
    progress_show(&keep->progress, keep->kept + keep->file.records, 0);
    if (keep->lines.len < FILE_BYTES && keep->file.records < FILE_RECORDS)
        return true;
    return close_file(keep, &keep->err);
}

static bool keep_partition(struct keep *keep, const struct dlq_topic *topic, int32_t partition,
                           struct err *err)
{
    struct kafka_reader_range range = {topic->name, partition, 0};
    bool ok;
    if (!archive_folder_enter(keep->folder, topic->name, topic->uuid, partition, err))
        return false;
    range.from = archive_folder_next(keep->folder);
    keep->err = (struct err){0};
    ok = dlq_read(keep->dlq->loop, keep->dlq->config, &range, 1, take, keep, err);
    if (ok && keep->err.code) {
        *err = keep->err;
        ok = false;
    }
    return ok && close_file(keep, err);
}

static bool keep_all(struct keep *keep, const struct dlq_topics *topics, struct err *err)
{
    keep->folder = archive_folder_open(keep->dlq->cli->argv[1], err);
    if (!keep->folder)
        return false;
    for (size_t i = 0; i < topics->count; i++) {
        const struct dlq_topic *topic = &topics->items[i];
        for (int32_t p = 0; topic->exists && p < topic->partitions; p++) {
            if (!keep_partition(keep, topic, p, err))
                return false;
        }
    }
    return archive_folder_end(keep->folder, err);
}

int dlq_archive_to(struct dlq *dlq)
{
    struct keep keep = {.dlq = dlq};
    const char *route = cli_option(dlq->cli, "--route");
    const char *topic = cli_option(dlq->cli, "--topic");
    struct dlq_topics topics;
    struct err err = {0};
    bool ok;
    if (!dlq_topics_find(dlq->loop, dlq->config, route, topic, &topics, &err))
        return cli_fail(&err);
    progress_begin(&keep.progress, "keeping dead letters");
    ok = keep_all(&keep, &topics, &err);
    progress_end(&keep.progress);
    fprintf(stderr, "%" PRIu64 " dead letters were kept, in %" PRIu64 " files\n", keep.kept,
            keep.files);
    archive_folder_close(&keep.folder);
    buf_deinit(&keep.lines);
    dlq_topics_deinit(&topics);
    return ok ? EXIT_OK : cli_fail(&err);
}
