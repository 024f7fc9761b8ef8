/*
 * A job's work; see redrive.h.
 *
 *   scanning -> sending (fetch -> produce -> record, WINDOW letters at a time) -> awaiting -> ended
 *
 * Invariants: a letter is recorded as `redriving` only after its copy is acknowledged; copies of a
 * partition are produced in the order of their origins; a letter is counted as sent once, and its
 * end once. A `redriving` that stands behind the end of its own redrive is followed by that end
 * again, so that compaction keeps the end. Must not: write the job's record, or send for a job that
 * is not its caller's any more.
 */
#include "dlq/redrive.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "dlq/dead_copy.h"
#include "dlq/redrive_scan.h"
#include "kafka/fetch.h"
#include "kafka/reader.h"

#define WINDOW         64
#define TAKEN_PER_TURN 1000
#define SLOW_MS        5000 /* brokers that take longer are told of */
#define LOOK_MS        1000

/* A letter that is being sent. */
struct sending {
    struct redrive *redrive; /* NULL: it is gone */
    struct sending *next, *prev;
    struct redrive_entry *entry;
    struct dead_copy copy;
    struct produce msg;
    struct buf key, value; /* of the record in the state topic */
};

struct redrive {
    struct redrive_config config;
    struct dlq_filter filter;
    struct redrive_scan *scan;
    struct kafka_fetch *fetch;
    struct kafka_reader *states; /* what becomes of the letters */
    char *state_topic;
    struct loop_timer timer; /* the rate; a look at what takes long */
    struct loop_task state_task, end_task;
    struct sending *on_way; /* produced or recorded, not acknowledged */
    size_t on_way_count;
    size_t next; /* of the list */
    size_t last; /* behind the last one of the list that the job's limit leaves */
    bool begun, fetching, cancelled, ending;
    uint64_t next_send_ns, moved_ns;
    enum redrive_status status; /* ending: as what */
    char why[sizeof(((struct err *)0)->text)];
    struct buf store;
};

static void go_on(struct redrive *redrive);

/* ---- telling ---- */

static void changed(struct redrive *redrive)
{
    redrive->config.changed(redrive->config.arg);
}

static void note(struct redrive *redrive, const char *text)
{
    struct redrive_job *job = redrive->config.job;
    bool same = job->note && text ? strcmp(job->note, text) == 0 : job->note == text;
    if (same)
        return;
    mem_free(job->note);
    job->note = mem_strdup(text);
    changed(redrive);
}

static void moved(struct redrive *redrive)
{
    redrive->moved_ns = clock_mono_ns();
    note(redrive, NULL);
}

static void tell_end(void *arg)
{
    struct redrive *redrive = arg;
    redrive->config.ended(redrive->config.arg, redrive->status,
                          redrive->why[0] ? redrive->why : NULL);
}

static void end(struct redrive *redrive, enum redrive_status status, const char *why)
{
    if (redrive->ending)
        return;
    redrive->ending = true;
    redrive->status = status;
    snprintf(redrive->why, sizeof(redrive->why), "%s", why ? why : "");
    loop_timer_cancel(&redrive->timer);
    loop_defer(redrive->config.loop, &redrive->end_task);
}

/* ---- letters on their way ---- */

static struct sending *sending_new(struct redrive *redrive, struct redrive_entry *entry)
{
    struct sending *sending = mem_zalloc(sizeof(*sending));
    sending->redrive = redrive;
    sending->entry = entry;
    sending->next = redrive->on_way;
    if (sending->next)
        sending->next->prev = sending;
    redrive->on_way = sending;
    redrive->on_way_count++;
    return sending;
}

static void sending_free(struct sending *sending)
{
    struct redrive *redrive = sending->redrive;
    if (redrive) {
        if (sending->prev)
            sending->prev->next = sending->next;
        else
            redrive->on_way = sending->next;
        if (sending->next)
            sending->next->prev = sending->prev;
        redrive->on_way_count--;
    }
    dead_copy_deinit(&sending->copy);
    buf_deinit(&sending->key);
    buf_deinit(&sending->value);
    mem_free(sending);
}

static void skip(struct redrive *redrive, struct redrive_entry *entry, enum redrive_skip why)
{
    struct redrive_job *job = redrive->config.job;
    redrive_skip(entry, why, &job->counts);
    job->counts.eligible -= job->counts.eligible > 0;
    changed(redrive);
}

/* By this redrive, as far as the state topic was read. */
static bool has_ended(const struct redrive *redrive, const struct redrive_entry *entry)
{
    const char *last = redrive_table_name(redrive_scan_table(redrive->scan), entry->redrive);
    return entry->result != LETTER_NO_RESULT && strcmp(last, redrive->config.job->id) == 0;
}

static void count_sent(struct redrive *redrive, struct redrive_entry *entry)
{
    struct redrive_job *job = redrive->config.job;
    job->counts.sent++;
    job->position++;
    if (has_ended(redrive, entry))
        redrive_count_end(entry, &job->counts);
    moved(redrive);
    changed(redrive);
}

/* ---- recording ---- */

static void write_state(struct sending *sending, const struct letter_state *state,
                        void (*done)(struct produce *msg))
{
    struct redrive *redrive = sending->redrive;
    struct letter_id id = redrive_entry_id(redrive_scan_table(redrive->scan), sending->entry);
    letter_id_write(&sending->key, &id);
    letter_state_write(&sending->value, state);
    sending->msg = (struct produce){.topic = redrive->state_topic,
                                    .partition = LETTER_STATE_PARTITION,
                                    .key = buf_slice(&sending->key),
                                    .value = buf_slice(&sending->value),
                                    .done = done,
                                    .arg = sending};
    kafka_producer_send(redrive->config.producer, &sending->msg);
}

/* False where it will not be had: then the job has failed. */
static bool is_written(struct redrive *redrive, const struct produce *msg)
{
    char text[400];
    if (msg->result == PRODUCE_ACKED)
        return true;
    snprintf(text, sizeof(text), "%.120s: %.250s", msg->topic, msg->err.text);
    end(redrive, REDRIVE_FAILED, text);
    return false;
}

static void recorded(struct produce *msg)
{
    struct sending *sending = msg->arg;
    struct redrive *redrive = sending->redrive;
    struct redrive_entry *entry = sending->entry;
    bool ok = redrive && is_written(redrive, msg);
    sending_free(sending);
    if (!ok)
        return;
    CRASH_POINT("redrive_recorded");
    count_sent(redrive, entry);
    go_on(redrive);
}

static void record(struct sending *sending)
{
    const struct redrive_job *job = sending->redrive->config.job;
    struct letter_state state = {.status = LETTER_REDRIVING,
                                 .redrive_id = slice_of(job->id),
                                 .redrive_count = sending->entry->redrive_count,
                                 .by = slice_of(job->by),
                                 .reason = slice_of(job->reason),
                                 .at_ms = clock_wall_ms()};
    write_state(sending, &state, recorded);
}

static void produced(struct produce *msg)
{
    struct sending *sending = msg->arg;
    struct redrive *redrive = sending->redrive;
    struct redrive_entry *entry = sending->entry;
    bool lasting = msg->result == PRODUCE_TOO_LARGE || msg->result == PRODUCE_INVALID ||
                   msg->result == PRODUCE_NO_TOPIC;
    if (redrive && lasting) {
        entry->mine = false;
        skip(redrive, entry, msg->result == PRODUCE_NO_TOPIC ? SKIP_NO_ROUTE : SKIP_REFUSED);
        log_warn("letter_not_redriven", LOG_STR("topic", msg->topic),
                 LOG_INT("origin_offset", entry->origin_offset), LOG_STR("error", msg->err.text),
                 LOG_END);
    }
    if (!redrive || lasting || !is_written(redrive, msg)) {
        sending_free(sending);
        if (redrive)
            go_on(redrive);
        return;
    }
    CRASH_POINT("redrive_produced");
    if (!has_ended(redrive, entry)) {
        record(sending);
        return;
    }
    /* It has ended already, and that stands in the state topic. */
    sending_free(sending);
    count_sent(redrive, entry);
    go_on(redrive);
}

static void repeated(struct produce *msg)
{
    struct sending *sending = msg->arg;
    struct redrive *redrive = sending->redrive;
    sending_free(sending);
    if (redrive)
        go_on(redrive);
}

/* Compaction keeps the last record of a letter, and that says `redriving`, although it is over. */
static void repeat_end(struct redrive *redrive, struct redrive_entry *entry)
{
    const struct redrive_table *table = redrive_scan_table(redrive->scan);
    struct sending *sending = sending_new(redrive, entry);
    struct letter_state state = {.status = (enum letter_status)entry->status,
                                 .result = (enum letter_result)entry->result,
                                 .redrive_id = slice_of(redrive_table_name(table, entry->redrive)),
                                 .redrive_count = entry->redrive_count,
                                 .by = SLICE_LIT("redrive"),
                                 .at_ms = clock_wall_ms()};
    if (entry->code)
        state.code = slice_of(redrive_table_name(table, entry->code));
    write_state(sending, &state, repeated);
}

/* What the runner before did not live to repeat. */
static void repeat_late(struct redrive *redrive)
{
    const struct redrive_list *late = redrive_scan_late(redrive->scan);
    for (size_t i = 0; i < late->count; i++) {
        if (late->items[i]->late)
            repeat_end(redrive, late->items[i]);
        late->items[i]->late = false;
    }
}

/* ---- sending ---- */

static void send(struct redrive *redrive, struct redrive_entry *entry, const struct record *rec)
{
    struct sending *sending = sending_new(redrive, entry);
    const struct redrive_job *job = redrive->config.job;
    struct letter_id id = redrive_entry_id(redrive_scan_table(redrive->scan), entry);
    struct dead_copy_order order = {.redrive_id = job->id,
                                    .mode = job->mode,
                                    .count = entry->redrive_count + 1,
                                    .first_letter = &id};
    struct err err = {0};
    int32_t partitions = 1;
    if (!dead_copy_make(&sending->copy, rec, &order, &err)) {
        sending_free(sending);
        skip(redrive, entry, SKIP_FOREIGN);
        return;
    }
    entry->redrive_count++;
    entry->mine = true;
    sending->msg = (struct produce){.topic = redrive_scan_target(redrive->scan, entry, &partitions),
                                    .key = sending->copy.rec.key,
                                    .value = sending->copy.rec.value,
                                    .headers = sending->copy.headers.items,
                                    .header_count = sending->copy.headers.count,
                                    .done = produced,
                                    .arg = sending};
    sending->msg.partition = entry->origin_partition % partitions;
    kafka_producer_send(redrive->config.producer, &sending->msg);
    CRASH_POINT("redrive_sent");
}

static void fetched(void *arg, enum kafka_fetched result, struct record *rec, const struct err *err)
{
    struct redrive *redrive = arg;
    struct redrive_entry *entry = redrive_scan_list(redrive->scan)->items[redrive->next];
    redrive->fetching = false;
    if (redrive->ending)
        return;
    if (redrive->cancelled) {
        go_on(redrive);
        return;
    }
    if (result == KAFKA_FETCH_FAILED) {
        end(redrive, REDRIVE_FAILED, err->text);
        return;
    }
    redrive->next++;
    CRASH_POINT("redrive_fetched");
    if (result == KAFKA_FETCHED)
        send(redrive, entry, rec);
    else
        skip(redrive, entry, SKIP_GONE);
    go_on(redrive);
}

static bool is_all_begun(const struct redrive *redrive)
{
    return redrive->cancelled || redrive->next == redrive->last;
}

/* Whether the rate lets the next one go; else the timer is set. */
static bool is_due(struct redrive *redrive)
{
    uint32_t rate = redrive->config.job->rate_per_s;
    uint64_t now = clock_mono_ns();
    if (rate == 0)
        return true;
    if (now < redrive->next_send_ns) {
        loop_timer_set_at(&redrive->timer, redrive->next_send_ns);
        return false;
    }
    redrive->next_send_ns = (now - redrive->next_send_ns > NS_PER_S ? now : redrive->next_send_ns) +
                            NS_PER_S / rate;
    return true;
}

static void fetch_next(struct redrive *redrive)
{
    const struct redrive_entry *entry = redrive_scan_list(redrive->scan)->items[redrive->next];
    redrive->fetching = true;
    kafka_fetch_get(redrive->fetch,
                    redrive_table_name(redrive_scan_table(redrive->scan), entry->topic),
                    entry->partition, entry->offset, fetched, redrive);
}

static void go_on(struct redrive *redrive)
{
    if (redrive->ending)
        return;
    if (!is_all_begun(redrive)) {
        if (!redrive->fetching && redrive->on_way_count < WINDOW && is_due(redrive))
            fetch_next(redrive);
        return;
    }
    if (redrive->on_way_count > 0)
        return;
    if (redrive->cancelled)
        end(redrive, REDRIVE_CANCELLED, NULL);
    else if (redrive_counts_on_their_way(&redrive->config.job->counts) == 0)
        end(redrive, REDRIVE_FINISHED, NULL);
}

/* ---- what becomes of them ---- */

static void take_state(struct redrive *redrive, const struct record *rec)
{
    struct redrive_entry *entry;
    struct letter_state state;
    struct letter_id id;
    struct err err = {0};
    if (!letter_state_read(rec, &id, &state, &redrive->store, &err))
        return;
    switch (redrive_table_add_state(redrive_scan_table(redrive->scan), &id, &state, &entry)) {
    case TOLD_NOTHING:
        return;
    case TOLD_LATE:
        repeat_end(redrive, entry);
        return;
    case TOLD_END:
        redrive_count_end(entry, &redrive->config.job->counts);
        moved(redrive);
        changed(redrive);
        return;
    }
}

static void take_states(void *arg)
{
    struct redrive *redrive = arg;
    struct record rec;
    struct err err = {0};
    size_t range;
    for (int i = 0; !redrive->ending && i < TAKEN_PER_TURN; i++) {
        switch (kafka_reader_take(redrive->states, &rec, &range, &err)) {
        case KAFKA_READ_RECORD:
            take_state(redrive, &rec);
            break;
        case KAFKA_READ_FAILED:
            end(redrive, REDRIVE_FAILED, err.text);
            return;
        case KAFKA_READ_END:
            break;
        case KAFKA_READ_EMPTY:
            go_on(redrive);
            return;
        }
    }
    loop_defer(redrive->config.loop, &redrive->state_task);
}

/* They may take long, or never come: a copy of an at-most-once route whose process was killed. */
static void leave_rest(struct redrive *redrive)
{
    char text[200];
    snprintf(text, sizeof(text),
             "%llu are still on their way: their ends are kept with the letters as they come",
             (unsigned long long)redrive_counts_on_their_way(&redrive->config.job->counts));
    end(redrive, REDRIVE_FINISHED, text);
}

static void look(void *arg)
{
    struct redrive *redrive = arg;
    int64_t quiet_ms = (int64_t)((clock_mono_ns() - redrive->moved_ns) / NS_PER_MS);
    if (redrive->ending)
        return;
    loop_timer_set_ms(&redrive->timer, LOOK_MS);
    if (is_all_begun(redrive) && redrive->on_way_count == 0 &&
        quiet_ms > redrive->config.patience_ms)
        leave_rest(redrive);
    else if ((redrive->on_way_count > 0 || redrive->fetching) && quiet_ms > SLOW_MS)
        note(redrive, "the brokers do not answer: it waits for them");
    go_on(redrive);
}

/* ---- beginning ---- */

/* What was sent before counts for the limit. */
static void set_limit(struct redrive *redrive)
{
    struct redrive_job *job = redrive->config.job;
    uint64_t left = job->limit > job->counts.sent ? job->limit - job->counts.sent : 0;
    redrive->last = redrive_scan_list(redrive->scan)->count;
    if (job->limit == 0 || redrive->last <= left)
        return;
    redrive->last = (size_t)left;
    job->counts.eligible = job->counts.sent + left;
}

static void begin(struct redrive *redrive)
{
    struct redrive_job *job = redrive->config.job;
    struct kafka_reader_range range = {.topic = redrive->state_topic,
                                       .partition = LETTER_STATE_PARTITION,
                                       .from = redrive_scan_state_end(redrive->scan)};
    struct redrive_counts counts = *redrive_scan_counts(redrive->scan);
    struct err err = {0};
    /* What it skipped while sending, before it was taken over, is seen again. */
    job->counts = counts;
    job->position = counts.sent;
    set_limit(redrive);
    redrive->begun = true;
    redrive->states = kafka_reader_follow(redrive->config.loop, redrive->config.config, job->group,
                                          &range, 1, take_states, redrive, &err);
    redrive->fetch = kafka_fetch_new(redrive->config.loop, redrive->config.config, job->group,
                                     &err);
    if (!redrive->states || !redrive->fetch) {
        end(redrive, REDRIVE_FAILED, err.text);
        return;
    }
    repeat_late(redrive);
    moved(redrive);
    changed(redrive);
    loop_timer_set_ms(&redrive->timer, LOOK_MS);
    go_on(redrive);
}

static void scanned(void *arg, const struct err *err)
{
    struct redrive *redrive = arg;
    if (err && err->retriable)
        end(redrive, REDRIVE_WAITING, err->text);
    else if (err)
        end(redrive, REDRIVE_FAILED, err->text);
    else if (redrive->cancelled)
        end(redrive, REDRIVE_CANCELLED, NULL);
    else
        begin(redrive);
}

struct redrive *redrive_new(const struct redrive_config *config, struct err *err)
{
    struct redrive *redrive = mem_zalloc(sizeof(*redrive));
    const struct redrive_job *job = config->job;
    const struct route_config *route = redrive_group_route(config->config, job->group);
    struct redrive_scan_config scan = {.loop = config->loop,
                                       .config = config->config,
                                       .group = job->group,
                                       .filter = &redrive->filter,
                                       .before_ms = job->created_ms,
                                       .id = job->id,
                                       .done = scanned,
                                       .arg = redrive};
    redrive->config = *config;
    loop_timer_init(&redrive->timer, config->loop, look, redrive);
    loop_task_init(&redrive->state_task, take_states, redrive);
    loop_task_init(&redrive->end_task, tell_end, redrive);
    dlq_filter_init(&redrive->filter);
    if (!route)
        err_set(err, ERR_CONFIG, "no route has the group %s any more", job->group);
    else
        redrive->state_topic = config_dlq_state_topic(route);
    if (route && dlq_filter_from_json(&redrive->filter, slice_of(job->filter), err))
        redrive->scan = redrive_scan_new(&scan, err);
    if (redrive->scan)
        return redrive;
    redrive_free(&redrive);
    return NULL;
}

bool redrive_has_begun(const struct redrive *redrive)
{
    return redrive->begun;
}

struct redrive_skipped *redrive_list_skipped(const struct redrive *redrive)
{
    return redrive_scan_skipped(redrive->scan);
}

void redrive_cancel(struct redrive *redrive)
{
    redrive->cancelled = true;
    if (redrive->fetch)
        go_on(redrive);
}

void redrive_free(struct redrive **pointer)
{
    struct redrive *redrive = *pointer;
    if (!redrive)
        return;
    *pointer = NULL;
    while (redrive->on_way) {
        struct sending *sending = redrive->on_way;
        redrive->on_way = sending->next;
        sending->next = sending->prev = NULL;
        sending->redrive = NULL; /* it frees itself when the producer is done with it */
    }
    loop_timer_deinit(&redrive->timer);
    loop_task_cancel(redrive->config.loop, &redrive->state_task);
    loop_task_cancel(redrive->config.loop, &redrive->end_task);
    kafka_fetch_free(&redrive->fetch);
    kafka_reader_free(&redrive->states);
    redrive_scan_free(&redrive->scan);
    dlq_filter_deinit(&redrive->filter);
    mem_free(redrive->state_topic);
    buf_deinit(&redrive->store);
    mem_free(redrive);
}
