/*
 * oncegate dlq import FILE: exported lines back into their dead-letter topics, as new records. Two
 * passes: the first looks at every line and produces nothing, so that a bad line is known before
 * anything is done; the second sends. A line is never changed on the way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/letter_import.h"
#include "dlq/sender.h"
#include "dlq_import.h"
#include "import_plan.h"
#include "progress.h"

struct import {
    struct dlq *dlq;
    struct import_lines lines;
    struct dlq_topics topics;
    struct letter_import_topic *names; /* the same */
    struct letter_import pass;         /* of the first one, then of the second */
    struct import_plan plan;
    struct progress progress;
};

static void begin_pass(struct import *import)
{
    import_lines_rewind(&import->lines);
    import->pass = (struct letter_import){.topics = import->names, .count = import->topics.count};
}

static bool look(struct import *import, struct err *err)
{
    struct slice line;
    uint64_t *per_topic = mem_calloc(import->topics.count + 1, sizeof(*per_topic));
    begin_pass(import);
    while (import_lines_next(&import->lines, &line)) {
        struct letter_line letter;
        struct err bad = {0};
        size_t topic = 0, column = 1;
        switch (letter_import_read(&import->pass, line, &letter, &topic, &column, &bad)) {
        case LETTER_IMPORT_BAD:
            import_plan_add_bad(&import->plan, import->lines.number, column, bad.text);
            break;
        case LETTER_IMPORT_LETTER:
            per_topic[topic]++;
            letter_line_deinit(&letter);
            break;
        case LETTER_IMPORT_END:
            break;
        }
    }
    for (size_t i = 0; i < import->topics.count; i++) {
        if (per_topic[i] > 0)
            import_plan_add(&import->plan, import->topics.items[i].name, per_topic[i]);
    }
    mem_free(per_topic);
    return import_lines_good(&import->lines, err);
}

static void release_line(void *owner)
{
    struct letter_line *letter = owner;
    letter_line_deinit(letter);
    mem_free(letter);
}

static bool send_line(struct import *import, struct dlq_sender *sender, struct slice line,
                      struct err *err)
{
    struct letter_line *letter = mem_zalloc(sizeof(*letter));
    struct produce msg = {0};
    struct err bad;
    size_t topic, column;
    if (letter_import_read(&import->pass, line, letter, &topic, &column, &bad) !=
        LETTER_IMPORT_LETTER) {
        mem_free(letter); /* said in the first pass */
        return true;
    }
    letter_import_fill(&msg, letter, &import->names[topic]);
    if (dlq_send(sender, &msg, letter, release_line, err))
        return true;
    release_line(letter);
    return false;
}

static int send_all(struct import *import)
{
    struct err err = {0};
    struct dlq_sender *sender = dlq_sender_new(import->dlq->loop, import->dlq->config, &err);
    uint64_t sent = 0, failed = 0, done = 0;
    struct slice line;
    bool ok = sender != NULL;
    begin_pass(import);
    progress_begin(&import->progress, "importing");
    while (ok && import_lines_next(&import->lines, &line)) {
        ok = send_line(import, sender, line, &err);
        progress_show(&import->progress, ++done, import->plan.good + import->plan.bad);
    }
    if (sender && !dlq_sender_finish(sender, &sent, &failed, ok ? &err : &(struct err){0}))
        ok = false;
    progress_end(&import->progress);
    dlq_sender_free(&sender);
    return import_plan_ended(&import->plan, sent, ok ? NULL : &err);
}

static int run(struct import *import)
{
    struct err err = {0};
    int code = EXIT_OK;
    bool looked = look(import, &err);
    return import_plan_may(&import->plan, looked, &err, &code) ? send_all(import) : code;
}

static void name_topics(struct import *import)
{
    import->names = mem_calloc(import->topics.count + 1, sizeof(*import->names));
    for (size_t i = 0; i < import->topics.count; i++) {
        const struct dlq_topic *topic = &import->topics.items[i];
        import->names[i] = (struct letter_import_topic){topic->name, topic->exists,
                                                        topic->partitions};
    }
}

int dlq_import(struct dlq *dlq)
{
    struct import import = {.dlq = dlq};
    struct err err = {0};
    int code;
    if (!import_lines_open(&import.lines, dlq->cli->argv[1], &err))
        return cli_fail(&err);
    if (dlq->console) {
        code = dlq_import_by_console(dlq, &import.lines);
        import_lines_close(&import.lines);
        return code;
    }
    import.plan = (struct import_plan){.dlq = dlq, .lines = &import.lines};
    if (dlq_topics_find(dlq->loop, dlq->config, NULL, NULL, &import.topics, &err)) {
        name_topics(&import);
        code = run(&import);
    } else {
        code = cli_fail(&err);
    }
    import_lines_close(&import.lines);
    mem_free(import.names);
    import_plan_deinit(&import.plan);
    dlq_topics_deinit(&import.topics);
    return code;
}
