/*
 * oncegate dlq purge TOPIC --partition N --before OFFSET: deletes the oldest dead letters of a
 * partition for ever. That is all that Kafka can delete of a log; what it cannot do is said, and
 * nothing is deleted before the topic's name was typed once more.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/purge_count.h"
#include "dlq/sender.h"
#include "dlq/snapshot.h"
#include "dlq_by_console.h"

struct purge {
    struct dlq *dlq;
    const char *topic;
    uint64_t partition, before;
    struct purge_count count; /* that would go */
};

static void say(const struct purge *purge)
{
    fprintf(
        stderr,
        "%s/%" PRIu64 ": %" PRIu64 " dead letters lie below offset %" PRIu64 ", %" PRIu64
        " of them open or on their way. Purging deletes them for ever.\n"
        "Kafka deletes only from the beginning of a partition up to an offset: no single record "
        "out of the middle, and nothing by a filter. Ids are not used again. What `dlq "
        "archive-to` or `dlq export` kept stays. To put letters away without deleting them: "
        "`dlq archive`.\n",
        purge->topic, purge->partition, purge->count.letters, purge->before, purge->count.open);
}

static void say_deleted(const struct purge *purge, int64_t begin)
{
    fprintf(stderr, "deleted: %s/%" PRIu64 " begins at offset %" PRId64 " now\n", purge->topic,
            purge->partition, begin);
}

/* The topic's name, typed by a person or given by --confirm; else *code. */
static bool confirmed(struct purge *purge, const char *given, int *code)
{
    char typed[260] = "";
    if (given && strcmp(given, purge->topic) == 0)
        return true;
    *code = EXIT_USAGE;
    if (given) {
        fprintf(stderr, "oncegate: --confirm is not the name of the topic; nothing was deleted\n");
        return false;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr, "oncegate: nobody can be asked: say --confirm \"%s\"\n", purge->topic);
        return false;
    }
    fputs("To delete them, type the name of the topic: ", stderr);
    if (fgets(typed, sizeof(typed), stdin))
        typed[strcspn(typed, "\n")] = '\0';
    if (strcmp(typed, purge->topic) == 0)
        return true;
    fputs("nothing was deleted\n", stderr);
    *code = EXIT_FAIL;
    return false;
}

static bool count(void *arg, const struct dlq_row *row)
{
    purge_count_add(arg, row);
    return true;
}

static bool count_letters(struct purge *purge, struct err *err)
{
    struct dlq_covered covered = {0};
    struct dlq_filter filter;
    struct dlq_index *index;
    bool ok;
    dlq_filter_init(&filter);
    purge_count_filter(&filter, purge->topic);
    purge->count.partition = purge->partition;
    purge->count.before = purge->before;
    index = dlq_read_letters(purge->dlq, &filter, err);
    ok = index && dlq_snapshot_each(index, &filter, count, &purge->count, &covered, err);
    dlq_index_close(&index);
    dlq_filter_deinit(&filter);
    if (ok)
        dlq_say_covered(&covered);
    return ok;
}

static int delete_them(struct purge *purge, const struct route_config *route, const char *reason)
{
    struct err err = {0};
    struct dlq_sender *sender;
    uint64_t sent, failed;
    int64_t begin = 0;
    char by[DLQ_BY_MAX], *on, *details;
    bool ok = dlq_delete_below(purge->dlq->loop, purge->dlq->config, purge->topic,
                               (int32_t)purge->partition, (int64_t)purge->before, &begin, &err);
    if (!ok)
        return cli_fail(&err);
    say_deleted(purge, begin);
    on = mem_printf("%s/%" PRIu64, purge->topic, purge->partition);
    details = mem_printf("{\"below\":%" PRIu64 ",\"letters\":%" PRIu64 ",\"open\":%" PRIu64 "}",
                         purge->before, purge->count.letters, purge->count.open);
    dlq_by(by);
    sender = dlq_sender_new(purge->dlq->loop, purge->dlq->config, &err);
    ok = sender && dlq_audit(sender, route, by, "dlq.purge", on, reason, details, "ok", &err) &&
         dlq_sender_finish(sender, &sent, &failed, &err);
    dlq_sender_free(&sender);
    mem_free(on);
    mem_free(details);
    if (ok)
        return EXIT_OK;
    (void)err_prefix(&err, "the records are deleted, and the audit log does not say so");
    (void)cli_fail(&err);
    return EXIT_PARTLY;
}

static int run(struct purge *purge, const struct dlq_topic *topic)
{
    const char *given = cli_option(purge->dlq->cli, "--confirm");
    const char *reason = cli_option(purge->dlq->cli, "--reason");
    struct err err = {0};
    int code = EXIT_OK;
    bool exists = false;
    char *audit;
    if (!topic->exists || purge->partition >= (uint64_t)topic->partitions)
        return cli_usage("dlq purge", "%s has no partition %" PRIu64, purge->topic,
                         purge->partition);
    if (!count_letters(purge, &err))
        return cli_fail(&err);
    say(purge);
    if (cli_flag(purge->dlq->cli, "--dry-run"))
        return EXIT_OK;
    audit = config_audit_topic(topic->route);
    if (!dlq_topic_exists(purge->dlq->loop, purge->dlq->config, audit, &exists, &err))
        code = cli_fail(&err);
    else if (!exists) {
        (void)err_set(&err, ERR_CONFIG, "topic %s does not exist: `oncegate topics apply` makes it",
                      audit);
        code = cli_fail(&err);
    } else if (confirmed(purge, given, &code)) {
        code = delete_them(purge, topic->route, reason);
    }
    mem_free(audit);
    return code;
}

static int run_by_console(struct purge *purge)
{
    struct dlq_purge_order order = {.topic = purge->topic,
                                    .reason = cli_option(purge->dlq->cli, "--reason"),
                                    .partition = purge->partition,
                                    .before = purge->before,
                                    .dry_run = true};
    struct err err = {0};
    int code = EXIT_OK;
    if (!dlq_purge_by_console(purge->dlq, &order, &err))
        return cli_fail(&err);
    purge->count.letters = order.count;
    purge->count.open = order.open;
    say(purge);
    if (cli_flag(purge->dlq->cli, "--dry-run") ||
        !confirmed(purge, cli_option(purge->dlq->cli, "--confirm"), &code))
        return code;
    order.dry_run = false;
    if (!dlq_purge_by_console(purge->dlq, &order, &err))
        return cli_fail(&err);
    say_deleted(purge, order.begin);
    return EXIT_OK;
}

int dlq_purge(struct dlq *dlq)
{
    struct purge purge = {.dlq = dlq, .topic = dlq->cli->argv[1]};
    const char *partition = cli_option(dlq->cli, "--partition");
    const char *before = cli_option(dlq->cli, "--before");
    struct dlq_topics topics;
    struct err err = {0};
    int code;
    if (!partition || !before || !str_to_u64(slice_of(partition), &purge.partition) ||
        !str_to_u64(slice_of(before), &purge.before) || purge.before == 0 ||
        purge.before > INT64_MAX || purge.partition > INT32_MAX)
        return cli_usage("dlq purge", "purge wants --partition N and --before OFFSET");
    if (dlq->console)
        return run_by_console(&purge);
    if (!dlq_topics_find(dlq->loop, dlq->config, NULL, purge.topic, &topics, &err))
        return cli_fail(&err);
    code = run(&purge, &topics.items[0]);
    dlq_topics_deinit(&topics);
    return code;
}
