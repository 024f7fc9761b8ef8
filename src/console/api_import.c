/*
 * Exported lines back into their dead-letter topics, as `oncegate dlq import` does it
 * (dlq/letter_import.h): every line is looked at before anything is produced, and a line is never
 * changed on the way. The audit log first: without a trace nothing is produced.
 *
 *   Kafka (which topics are there) -> all lines (a thread) -> audit log, an entry for each group
 *     -> lines again, some of them on their way at a time -> answer
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "console/console_parts.h"
#include "dlq/letter_import.h"
#include "kafka/admin.h"

#define AT_ONCE    2
#define IMPORT_MS  60000
#define REASON_MAX 1000
#define SHOWN_MAX  100 /* bad lines that are told of one by one */
#define ON_WAY_MAX 500

struct bad_line {
    uint64_t line;
    size_t column;
    char *text;
};

struct importing {
    struct work work;
    struct buf text; /* the body */
    bool dry_run, skip_bad;
    char *reason;
    struct kafka_admin *admin;
    struct letter_import_topic *topics;
    const struct route_config **routes; /* of each topic */
    uint64_t *per_topic;
    size_t count;
    struct letter_import first, second; /* passes */
    uint64_t lines;
    struct bad_line shown[SHOWN_MAX];
    size_t shown_count;
    struct err err;
    size_t pending; /* audit entries, then letters */
    struct slice rest;
    uint64_t produced;
    bool sending;
};

struct sending {
    struct importing *import;
    struct letter_line line;
    struct produce msg;
};

static void send_more(struct importing *import);

static void drop(struct work *work)
{
    struct importing *import = (struct importing *)work;
    (void)err_set(&import->err, ERR_CANCELLED, "it has ended"); /* for what is still asked */
    kafka_admin_free(&import->admin);
    for (size_t i = 0; i < import->count; i++)
        mem_free((char *)(uintptr_t)import->topics[i].name);
    for (size_t i = 0; i < import->shown_count; i++)
        mem_free(import->shown[i].text);
    mem_free(import->topics);
    mem_free(import->routes);
    mem_free(import->per_topic);
    mem_free(import->reason);
    buf_deinit(&import->text);
    work->console->importing--;
}

static const struct work_kind kind = {
    .size = sizeof(struct importing),
    .time_ms = IMPORT_MS,
    .changes = true,
    .late =
        "Kafka has not acknowledged all of it: how many dead letters were produced is not known "
        "yet",
    .drop = drop};

/* ---- answering ---- */

static void add_bad(struct buf *out, const struct importing *import)
{
    buf_add_text(out, "\"problems\":[");
    for (size_t i = 0; i < import->shown_count; i++) {
        const struct bad_line *bad = &import->shown[i];
        buf_printf(out, "%s{\"line\":%" PRIu64 ",\"column\":%zu,\"text\":", i ? "," : "", bad->line,
                   bad->column);
        buf_add_json(out, slice_of(bad->text));
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]");
}

static void add_topics(struct buf *out, const struct importing *import)
{
    bool first = true;
    buf_add_text(out, "\"topics\":[");
    for (size_t i = 0; i < import->count; i++) {
        if (import->per_topic[i] == 0)
            continue;
        buf_add_text(out, first ? "{\"topic\":" : ",{\"topic\":");
        buf_add_json(out, slice_of(import->topics[i].name));
        buf_printf(out, ",\"letters\":%" PRIu64 "}", import->per_topic[i]);
        first = false;
    }
    buf_add_text(out, "]");
}

static void end(struct importing *import)
{
    struct buf body = {0};
    if (import->err.code) {
        work_fail(&import->work, &import->err);
    } else {
        buf_printf(&body,
                   "{\"letters\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"produced\":%" PRIu64
                   ",\"dry_run\":%s,",
                   import->first.good, import->first.bad, import->produced,
                   import->dry_run ? "true" : "false");
        add_bad(&body, import);
        buf_add_char(&body, ',');
        add_topics(&body, import);
        buf_add_text(&body, "}\n");
        work_answer(&import->work, &body);
    }
    buf_deinit(&body);
    work_end(&import->work);
}

/* The next line that is not empty, without its end. */
static bool next_line(struct importing *import, struct slice *line)
{
    while (import->rest.len > 0) {
        const char *feed = memchr(import->rest.data, '\n', import->rest.len);
        size_t len = feed ? (size_t)(feed - import->rest.data) : import->rest.len;
        size_t used = feed ? len + 1 : len;
        *line = (struct slice){import->rest.data, len};
        import->rest = (struct slice){import->rest.data + used, import->rest.len - used};
        import->lines++;
        while (line->len > 0 && line->data[line->len - 1] == '\r')
            line->len--;
        if (line->len > 0)
            return true;
    }
    return false;
}

/* ---- sending ---- */

static void sent(struct produce *msg)
{
    struct sending *sending = msg->arg;
    struct importing *import = sending->import;
    bool acked = msg->result == PRODUCE_ACKED;
    import->pending--;
    import->produced += acked;
    if (!acked && !import->err.code) {
        import->err = msg->err;
        if (!import->err.code)
            (void)err_set(&import->err, ERR_CANCELLED, "given up before the brokers answered");
        (void)err_prefix(&import->err, "%s", msg->topic);
    }
    letter_line_deinit(&sending->line);
    mem_free(sending);
    send_more(import);
}

static void send_one(struct importing *import, struct slice text)
{
    struct sending *sending = mem_zalloc(sizeof(*sending));
    struct err bad = {0};
    size_t topic, column;
    if (letter_import_read(&import->second, text, &sending->line, &topic, &column, &bad) !=
        LETTER_IMPORT_LETTER) {
        mem_free(sending); /* told of in the first pass */
        return;
    }
    sending->import = import;
    letter_import_fill(&sending->msg, &sending->line, &import->topics[topic]);
    sending->msg.done = sent;
    sending->msg.arg = sending;
    import->pending++;
    kafka_producer_send(import->work.console->producer, &sending->msg);
}

static void send_more(struct importing *import)
{
    struct slice line;
    if (import->sending)
        return;
    import->sending = true;
    while (!import->err.code && import->pending < ON_WAY_MAX && next_line(import, &line))
        send_one(import, line);
    import->sending = false;
    if (import->pending > 0)
        return;
    if (import->err.code)
        (void)err_prefix(&import->err, "%" PRIu64 " of %" PRIu64 " dead letters are produced",
                         import->produced, import->first.good);
    end(import);
}

/* ---- audit ---- */

static void audited(void *arg, const struct err *err)
{
    struct importing *import = arg;
    import->pending--;
    if (err && !import->err.code)
        import->err = *err;
    if (import->pending > 0)
        return;
    if (import->err.code) {
        end(import);
        return;
    }
    import->rest = buf_slice(&import->text);
    send_more(import);
}

static uint64_t add_details(const struct importing *import, const char *group, struct buf *details)
{
    uint64_t letters = 0;
    buf_add_text(details, "{\"topics\":{");
    for (size_t i = 0; i < import->count; i++) {
        if (import->per_topic[i] == 0 || strcmp(import->routes[i]->group, group) != 0)
            continue;
        if (letters > 0)
            buf_add_char(details, ',');
        buf_add_json(details, slice_of(import->topics[i].name));
        buf_printf(details, ":%" PRIu64, import->per_topic[i]);
        letters += import->per_topic[i];
    }
    buf_printf(details, "},\"letters\":%" PRIu64 "}", letters);
    return letters;
}

static void write_audit(struct importing *import)
{
    const struct redriving *redriving = import->work.console->redriving;
    struct buf details = {0};
    import->pending = 1;
    for (size_t i = 0; i < redriving_count(redriving); i++) {
        const char *group = redriving_at(redriving, i).name;
        buf_reset(&details);
        if (add_details(import, group, &details) == 0)
            continue;
        import->pending++;
        console_audit(import->work.console, group,
                      &(struct audit_note){.who = &import->work.who,
                                           .action = "dlq.import",
                                           .on = "lines",
                                           .reason = import->reason,
                                           .details = details.data},
                      audited, import);
    }
    buf_deinit(&details);
    audited(import, NULL); /* the one that kept it from going on */
}

/* ---- looking ---- */

static void take_line(struct importing *import, struct slice text)
{
    struct letter_line line;
    struct err bad = {0};
    size_t topic = 0, column = 1;
    switch (letter_import_read(&import->first, text, &line, &topic, &column, &bad)) {
    case LETTER_IMPORT_BAD:
        if (import->shown_count < SHOWN_MAX)
            import->shown[import->shown_count++] = (struct bad_line){import->lines, column,
                                                                     mem_strdup(bad.text)};
        break;
    case LETTER_IMPORT_LETTER:
        import->per_topic[topic]++;
        letter_line_deinit(&line);
        break;
    case LETTER_IMPORT_END:
        break;
    }
}

static void look(void *arg, struct dlq_index *index)
{
    struct importing *import = arg;
    struct slice line;
    (void)index;
    import->rest = buf_slice(&import->text);
    while (next_line(import, &line))
        take_line(import, line);
}

static void looked(void *arg)
{
    struct importing *import = arg;
    struct console *console = import->work.console;
    const struct bad_line *bad = import->shown;
    if (import->first.bad > 0 && !import->skip_bad && !import->dry_run)
        (void)err_set(&import->err, ERR_INPUT,
                      "%" PRIu64 " of %" PRIu64 " lines are bad, and nothing was produced; line "
                      "%" PRIu64 ", column %zu: %s",
                      import->first.bad, import->first.bad + import->first.good, bad->line,
                      bad->column, bad->text);
    if (import->err.code || import->dry_run || import->first.good == 0 || !console->events ||
        !console_producer(console, &import->err))
        end(import);
    else
        write_audit(import);
}

/* ---- which topics are there ---- */

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct importing *import = arg;
    if (import->err.code)
        return; /* it has ended */
    if (err) {
        import->err = *err;
        end(import);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        import->topics[i].exists = topics[i].exists;
        import->topics[i].partitions = topics[i].partitions;
    }
    import->first = import->second = (struct letter_import){.topics = import->topics,
                                                            .count = import->count};
    if (workers_ask(import->work.console->workers, look, looked, import))
        return;
    (void)err_set_retriable(&import->err, ERR_AGAIN, "too many requests wait for the index");
    end(import);
}

static void name_topics(struct importing *import)
{
    const struct config *config = import->work.console->config;
    size_t most = 0;
    for (size_t i = 0; i < config->route_count; i++)
        most += config->routes[i].topic_count;
    import->topics = mem_calloc(most + 1, sizeof(*import->topics));
    import->routes = mem_calloc(most + 1, sizeof(*import->routes));
    import->per_topic = mem_calloc(most + 1, sizeof(*import->per_topic));
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        for (size_t t = 0; t < route->topic_count; t++) {
            import->topics[import->count].name = config_dlq_topic(route, route->topics[t]);
            import->routes[import->count++] = route;
        }
    }
}

static void describe(struct importing *import)
{
    struct console *console = import->work.console;
    const char **names;
    name_topics(import);
    import->admin = kafka_admin_new(console->options.loop, console->config, &import->err);
    if (!import->admin) {
        end(import);
        return;
    }
    names = mem_calloc(import->count + 1, sizeof(*names));
    for (size_t i = 0; i < import->count; i++)
        names[i] = import->topics[i].name;
    kafka_admin_describe(import->admin, names, import->count, false, described, import);
    mem_free(names);
}

/* ---- asking ---- */

static bool read_flag(const struct route_match *match, const char *name, bool *out, struct err *err)
{
    struct slice value = router_param(match, name);
    *out = slice_equal_text(value, "true");
    return slice_is_null(value) || *out || slice_equal_text(value, "false") ||
           err_set(err, ERR_USAGE, "%s: true or false", name);
}

static bool read_params(struct importing *import, const struct route_match *match, struct err *err)
{
    struct slice reason = router_param(match, "reason");
    if (!read_flag(match, "dry_run", &import->dry_run, err) ||
        !read_flag(match, "skip_bad", &import->skip_bad, err))
        return false;
    if (reason.len > REASON_MAX || (reason.len > 0 && memchr(reason.data, '\0', reason.len)))
        return err_set(err, ERR_USAGE, "reason: longer than %d bytes, or with a NUL", REASON_MAX);
    if (reason.len > 0)
        import->reason = mem_strndup(reason.data, reason.len);
    return true;
}

void api_import(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct importing *import;
    if (console->importing >= AT_ONCE) {
        reply_problem(call, 503, "others import right now: try again");
        return;
    }
    import = work_new(&kind, console, call, match);
    if (!import)
        return;
    console->importing++;
    buf_add_slice(&import->text, call_request(call)->body);
    if (read_params(import, match, &import->err))
        describe(import);
    else
        end(import);
}
