/*
 * oncegate dlq archive: puts dead letters away, by writing `archived` into the state topic; nothing
 * is deleted, and a redrive of an archived letter is still possible by its id. What came to be
 * resolved or archived meanwhile is left as it is; what is on its way round is not touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/put_away.h"
#include "dlq/sender.h"
#include "dlq/snapshot.h"
#include "dlq_by_console.h"
#include "progress.h"

struct archive {
    struct dlq *dlq;
    const char *reason; /* NULL: none */
    const struct dlq_filter *filter;
    struct put_away *rows;
    size_t count, cap;
    char by[DLQ_BY_MAX];
};

struct state_text {
    struct buf value;
    char *topic, *key;
};

static void release_state(void *owner)
{
    struct state_text *text = owner;
    mem_free(text->topic);
    buf_deinit(&text->value);
    mem_free(text->key);
    mem_free(text);
}

static bool send_state(const struct archive *archive, struct dlq_sender *sender,
                       const struct put_away *row, struct err *err)
{
    struct state_text *text = mem_zalloc(sizeof(*text));
    struct produce msg = {.partition = LETTER_STATE_PARTITION};
    text->topic = config_dlq_state_topic(row->route);
    put_away_write(&text->value, row, archive->by, archive->reason, SLICE_NULL);
    text->key = mem_strdup(row->state_key);
    msg.topic = text->topic;
    msg.key = slice_of(text->key);
    msg.value = buf_slice(&text->value);
    if (dlq_send(sender, &msg, text, release_state, err))
        return true;
    release_state(text);
    return false;
}

/* One entry for each group of which something was archived, with the filter and the count. */
static bool send_audit(const struct archive *archive, struct dlq_sender *sender, bool ok,
                       struct err *err)
{
    bool good = true;
    struct buf details = {0};
    for (size_t i = 0; good && i < archive->count; i++) {
        const struct route_config *route = archive->rows[i].route;
        uint64_t count = 0;
        bool told = false;
        for (size_t n = 0; n < archive->count; n++) {
            bool same = strcmp(archive->rows[n].route->group, route->group) == 0;
            told = told || (same && n < i);
            count += same;
            if (told)
                break;
        }
        if (told)
            continue;
        buf_reset(&details);
        buf_printf(&details, "{\"count\":%" PRIu64 ",\"filter\":", count);
        dlq_filter_to_json(archive->filter, &details);
        buf_add_char(&details, '}');
        good = dlq_audit(sender, route, archive->by, "dlq.archive", "filter", archive->reason,
                         details.data, ok ? "ok" : "not all were written", err);
    }
    buf_deinit(&details);
    return good;
}

static int write_states(const struct archive *archive)
{
    struct err err = {0};
    struct dlq_sender *sender = dlq_sender_new(archive->dlq->loop, archive->dlq->config, &err);
    struct progress progress;
    uint64_t sent = 0, failed = 0;
    bool ok = sender != NULL;
    progress_begin(&progress, "archiving");
    for (size_t i = 0; ok && i < archive->count; i++) {
        ok = send_state(archive, sender, &archive->rows[i], &err);
        progress_show(&progress, i, archive->count);
    }
    ok = ok && dlq_sender_finish(sender, &sent, &failed, &err);
    progress_end(&progress);
    fprintf(stderr, "%" PRIu64 " of %zu dead letters are archived\n", sent, archive->count);
    if (sender && sent > 0) {
        struct err audit_err = {0};
        uint64_t all = 0;
        if (!send_audit(archive, sender, ok, &audit_err) ||
            !dlq_sender_finish(sender, &all, &failed, ok ? &audit_err : &err)) {
            err = ok ? audit_err : err;
            (void)(ok && err_prefix(&err, "the audit log"));
            ok = false;
        }
    }
    dlq_sender_free(&sender);
    if (ok)
        return EXIT_OK;
    (void)cli_fail(&err);
    return sent > 0 ? EXIT_PARTLY : err_exit_code(&err);
}

/* The topics that are written to must be there: an archive without a trace is none. */
static bool check_topics(const struct archive *archive, struct err *err)
{
    static const char *const kinds[] = {"dlq-state", "audit"};
    const char *before = "";
    for (size_t i = 0; i < archive->count; i++) {
        const char *group = archive->rows[i].route->group;
        if (strcmp(group, before) == 0)
            continue;
        before = group;
        for (size_t k = 0; k < 2; k++) {
            char *name = mem_printf("%s.%s", kinds[k], group);
            bool exists = false;
            bool ok = dlq_topic_exists(archive->dlq->loop, archive->dlq->config, name, &exists,
                                       err);
            if (ok && !exists)
                ok = err_set(err, ERR_CONFIG,
                             "topic %s does not exist: `oncegate topics apply` "
                             "makes it",
                             name);
            mem_free(name);
            if (!ok)
                return false;
        }
    }
    return true;
}

static bool choose(void *arg, const struct dlq_row *row)
{
    struct archive *archive = arg;
    struct put_away item;
    if (!put_away_choose(&item, archive->dlq->config, row))
        return true;
    if (archive->count == archive->cap) {
        archive->cap = archive->cap ? 2 * archive->cap : 256;
        archive->rows = mem_realloc(archive->rows, archive->cap * sizeof(*archive->rows));
    }
    archive->rows[archive->count++] = item;
    return true;
}

static bool read_rows(struct archive *archive, struct err *err)
{
    struct dlq_covered covered = {0};
    struct dlq_index *index = dlq_read_letters(archive->dlq, archive->filter, err);
    bool ok = index && dlq_snapshot_each(index, archive->filter, choose, archive, &covered, err);
    dlq_index_close(&index);
    if (ok)
        dlq_say_covered(&covered);
    return ok;
}

static int run(struct archive *archive, bool dry_run)
{
    char question[120];
    struct err err = {0};
    int code = EXIT_OK;
    if (!read_rows(archive, &err))
        return cli_fail(&err);
    if (dry_run || archive->count == 0) {
        fprintf(stderr, "%zu dead letters would be archived\n", archive->count);
        return EXIT_OK;
    }
    if (!check_topics(archive, &err))
        return cli_fail(&err);
    snprintf(question, sizeof(question), "%zu dead letters are to be archived.", archive->count);
    return dlq_may(archive->dlq, question, &code) ? write_states(archive) : code;
}

static int run_by_console(struct archive *archive, bool dry_run)
{
    char question[120];
    uint64_t count = 0;
    struct err err = {0};
    int code = EXIT_OK;
    if (!dlq_archive_count(archive->dlq, archive->filter, &count, &err))
        return cli_fail(&err);
    if (dry_run || count == 0) {
        fprintf(stderr, "%" PRIu64 " dead letters would be archived\n", count);
        return EXIT_OK;
    }
    snprintf(question, sizeof(question), "%" PRIu64 " dead letters are to be archived.", count);
    return dlq_may(archive->dlq, question, &code)
               ? dlq_archive_by_console(archive->dlq, archive->filter, archive->reason, count)
               : code;
}

int dlq_archive(struct dlq *dlq)
{
    struct archive archive = {.dlq = dlq, .reason = cli_option(dlq->cli, "--reason")};
    struct dlq_filter filter;
    bool dry_run = cli_flag(dlq->cli, "--dry-run");
    int code = EXIT_OK;
    if (dlq_filter_of(dlq, &filter, &code)) {
        if (!filter.states)
            filter.states = DLQ_STATE_OPEN;
        /* By a console letters that come meanwhile are not counted, and not taken. */
        if (dlq->console && filter.until_ms == 0)
            filter.until_ms = clock_wall_ms() + 1;
        archive.filter = &filter;
        dlq_by(archive.by);
        code = dlq->console ? run_by_console(&archive, dry_run) : run(&archive, dry_run);
    }
    for (size_t i = 0; i < archive.count; i++)
        put_away_deinit(&archive.rows[i]);
    mem_free(archive.rows);
    dlq_filter_deinit(&filter);
    return code;
}
