/*
 * oncegate dlq import FILE: exported lines back into their dead-letter topics, as new records. Two
 * passes: the first looks at every line and produces nothing, so that a bad line is known before
 * anything is done; the second sends. A line is never changed on the way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd_dlq.h"
#include "dlq/dead_topics.h"
#include "dlq/letter_import.h"
#include "dlq/sender.h"
#include "progress.h"
#include "text_out.h"

#define SHOWN_MAX 100 /* bad lines that are shown one by one */

struct import {
    struct dlq *dlq;
    const char *name; /* of the file, for people */
    FILE *file;
    struct dlq_topics topics;
    struct letter_import_topic *names; /* the same */
    bool skip_bad;
    struct letter_import pass; /* of the first one, then of the second */
    uint64_t lines, good, bad, *per_topic;
    struct progress progress;
};

/* A pipe is kept in a file without a name: it is read twice. */
static FILE *open_twice(const char *name, struct err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(name, "re");
    FILE *copy;
    char chunk[65536];
    size_t got;
    bool ok = true;
    if (!from) {
        (void)err_set(err, errno == EACCES ? ERR_DENIED : ERR_NO_FILE, "%s: %s", name,
                      strerror(errno));
        return NULL;
    }
    if (fseeko(from, 0, SEEK_SET) == 0)
        return from;
    copy = tmpfile();
    while (copy && ok && (got = fread(chunk, 1, sizeof(chunk), from)) > 0)
        ok = fwrite(chunk, 1, got, copy) == got;
    if (copy && ok && !ferror(from) && fseeko(copy, 0, SEEK_SET) == 0) {
        if (!is_stdin)
            fclose(from);
        return copy;
    }
    (void)err_set(err, ERR_IO, "%s cannot be kept to be read twice", name);
    if (copy)
        fclose(copy);
    return NULL;
}

static void complain(struct import *import, size_t column, const struct err *err)
{
    struct buf text = {0};
    if (import->pass.bad > SHOWN_MAX)
        return;
    text_add_safe(&text, slice_of(err->text), false);
    fprintf(stderr, "%s:%" PRIu64 ":%zu: %s\n", import->name, import->lines, column, text.data);
    buf_deinit(&text);
}

/* The next line without its end; empty ones are passed over. False: there is none. */
static bool next_line(struct import *import, char **text, size_t *cap, struct slice *line)
{
    ssize_t len;
    while ((len = getline(text, cap, import->file)) >= 0) {
        import->lines++;
        while (len > 0 && ((*text)[len - 1] == '\n' || (*text)[len - 1] == '\r'))
            len--;
        *line = (struct slice){*text, (size_t)len};
        if (len > 0)
            return true;
    }
    return false;
}

static void begin_pass(struct import *import)
{
    rewind(import->file);
    import->lines = 0;
    import->pass = (struct letter_import){.topics = import->names, .count = import->topics.count};
}

static bool look(struct import *import, struct err *err)
{
    char *text = NULL;
    size_t cap = 0;
    struct slice line;
    import->per_topic = mem_calloc(import->topics.count + 1, sizeof(*import->per_topic));
    begin_pass(import);
    while (next_line(import, &text, &cap, &line)) {
        struct letter_line letter;
        struct err bad = {0};
        size_t topic = 0, column = 1;
        switch (letter_import_read(&import->pass, line, &letter, &topic, &column, &bad)) {
        case LETTER_IMPORT_BAD:
            complain(import, column, &bad);
            break;
        case LETTER_IMPORT_LETTER:
            import->per_topic[topic]++;
            letter_line_deinit(&letter);
            break;
        case LETTER_IMPORT_END:
            break;
        }
    }
    import->good = import->pass.good;
    import->bad = import->pass.bad;
    mem_free(text);
    if (import->bad > SHOWN_MAX)
        fprintf(stderr, "%s: and %" PRIu64 " bad lines more\n", import->name,
                import->bad - SHOWN_MAX);
    if (ferror(import->file))
        return err_set(err, ERR_IO, "%s cannot be read", import->name);
    if (import->bad > 0 && !import->skip_bad)
        return err_set(err, ERR_INPUT,
                       "%" PRIu64 " of %" PRIu64 " lines are bad; nothing was produced "
                       "(--skip-bad leaves them out)",
                       import->bad, import->bad + import->good);
    return true;
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
    char *text = NULL;
    size_t cap = 0;
    struct slice line;
    bool ok = sender != NULL;
    begin_pass(import);
    progress_begin(&import->progress, "importing");
    while (ok && next_line(import, &text, &cap, &line)) {
        ok = send_line(import, sender, line, &err);
        progress_show(&import->progress, ++done, import->good + import->bad);
    }
    if (sender && !dlq_sender_finish(sender, &sent, &failed, ok ? &err : &(struct err){0}))
        ok = false;
    progress_end(&import->progress);
    dlq_sender_free(&sender);
    mem_free(text);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " dead letters were produced\n", sent, import->good);
    if (ok)
        return import->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    (void)cli_fail(&err);
    return sent > 0 ? EXIT_PARTLY : err_exit_code(&err);
}

static void say_plan(const struct import *import)
{
    for (size_t i = 0; i < import->topics.count; i++) {
        if (import->per_topic[i] > 0)
            fprintf(stderr, "%" PRIu64 " to %s\n", import->per_topic[i],
                    import->topics.items[i].name);
    }
    fprintf(stderr, "%" PRIu64 " dead letters, %" PRIu64 " bad lines left out\n", import->good,
            import->bad);
}

static int run(struct import *import)
{
    char question[120];
    struct err err = {0};
    bool dry_run = cli_flag(import->dlq->cli, "--dry-run");
    int code = EXIT_OK;
    import->skip_bad = cli_flag(import->dlq->cli, "--skip-bad");
    if (!look(import, &err))
        return cli_fail(&err);
    say_plan(import);
    if (dry_run || import->good == 0)
        return import->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    snprintf(question, sizeof(question),
             "%" PRIu64 " records are to be produced, as new dead letters.", import->good);
    return dlq_may(import->dlq, question, &code) ? send_all(import) : code;
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
    struct import import = {.dlq = dlq, .name = dlq->cli->argv[1]};
    struct err err = {0};
    int code;
    import.file = open_twice(import.name, &err);
    if (!import.file)
        return cli_fail(&err);
    if (dlq_topics_find(dlq->loop, dlq->config, NULL, NULL, &import.topics, &err)) {
        name_topics(&import);
        code = run(&import);
    } else {
        code = cli_fail(&err);
    }
    fclose(import.file);
    mem_free(import.names);
    mem_free(import.per_topic);
    dlq_topics_deinit(&import.topics);
    return code;
}
