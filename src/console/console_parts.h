/* What the files of the API share; private to console.c and api_*.c. */
#ifndef OG_CONSOLE_CONSOLE_PARTS_H
#define OG_CONSOLE_CONSOLE_PARTS_H

#include "console/console.h"
#include "console/events.h"
#include "console/follow.h"
#include "console/front.h"
#include "console/job_metrics.h"
#include "console/masking.h"
#include "console/openapi.h"
#include "console/payload.h"
#include "console/peers.h"
#include "console/redriving.h"
#include "console/reply.h"
#include "console/router.h"
#include "console/work.h"
#include "console/workers.h"
#include "dlq/filter.h"
#include "dlq/index.h"
#include "dlq/redrive_scan.h"
#include "dlq/topic_route.h"
#include "kafka/producer.h"

struct letters_reader;
struct keys;

struct console {
    struct console_options options;
    const struct config *config;
    char *path;
    struct masking masking;
    struct follow *follow;
    struct workers *workers;
    struct events *events;
    struct front *front;
    struct letters_reader *letters;  /* reads single records from Kafka */
    struct keys *keys;               /* asks the ledger */
    struct peers *peers;             /* the gateways */
    struct redriving *redriving;     /* the jobs of all groups */
    struct kafka_producer *producer; /* NULL: not wanted yet */
    struct work_list works;
    size_t work_count, planning, exporting, importing;
    struct metric **open; /* dead_letters_open of each route */
    struct job_metrics *job_metrics;
    bool caught_up;
    struct err trouble; /* of the feed, since it last moved; no code: none */
    bool counting;      /* a count for events and metrics is under way */
    bool count_again;   /* things moved meanwhile */
};

extern const struct endpoint api_table[]; /* api_table.c */
extern const char console_schemas[];      /* schemas.json, embedded */
extern const size_t console_schemas_len;

/*
 * One request that asks the index in a thread: `ask` fills body or err there, then the answer is
 * given on the loop, if somebody still waits for it.
 */
struct query {
    struct console *console;
    struct call *call; /* NULL: the client has gone */
    struct payload_view view;
    void (*ask)(struct query *query, struct dlq_index *index); /* in a thread: body or err */
    void (*then)(struct query *query); /* on the loop, instead of answering; NULL: answer */
    struct dlq_filter filter;
    char cursor[DLQ_CURSOR_MAX];
    uint64_t limit;
    int64_t now_ms;
    struct buf body;
    struct err err;
    void *extra; /* of one endpoint; freed by it in end */
    void (*end)(struct query *query);
};

struct query *query_new(struct console *console, struct call *call,
                        const struct route_match *match);
/* Fills filter, cursor and limit from the parameters. False: err says what is wrong. */
bool query_read(struct query *query, const struct route_match *match);
/* The same of cursor and limit alone. */
bool query_read_page(struct query *query, const struct route_match *match);
/* Asks; the query answers and frees itself. */
void query_start(struct query *query);
/* Answers with body or err, and frees it. */
void query_finish(struct query *query);
/* One parameter that is a part of the filter. masked: parts of records are hidden from who asks,
 * who may then not search for words (ERR_DENIED). */
bool api_read_filter(const struct route_param *param, bool masked, int64_t now_ms,
                     struct dlq_filter *filter, struct err *err) MUST_CHECK;

/* api_json.c */
/* Members of an object, with the comma behind. Text: NULL is "". Times: null for 0 and less. */
void api_add_text(struct buf *out, const char *name, const char *text);
void api_add_text_or_null(struct buf *out, const char *name, const char *text);
void api_add_number(struct buf *out, const char *name, int64_t number);
void api_add_count(struct buf *out, const char *name, uint64_t count);
void api_add_time(struct buf *out, const char *name, int64_t ms);
void json_add_group(struct buf *out, const struct dlq_group *group);
void json_add_row(struct buf *out, const struct dlq_row *row);
void json_add_covered(struct buf *out, const struct dlq_covered *covered);

/* api_jobs.c */
void json_add_counts(struct buf *out, const struct redrive_counts *counts); /* "counts":{...} */
void json_add_job(struct buf *out, const struct redrive_job *job, bool cancel_asked, bool masked);
/* Without what somebody wrote: filter, reason and names. */
void json_add_job_event(struct buf *out, const struct redrive_job *job, bool cancel_asked);
/* Whether a JSON text has, at that pointer, words that a role must not see that sees no records. */
bool json_filter_is_hidden(const char *json, const char *pointer, bool masked);
/* *jobs: those of its group. NULL: err says why. */
const struct redrive_job *api_find_job(const struct console *console, const char *id,
                                       struct jobs **jobs, struct err *err);
/* The parameter "limit" of what is not asked of the index. */
bool api_read_limit(const struct route_match *match, uint64_t *limit, struct err *err);

struct audit_note {
    const struct guard_pass *who;
    const char *action, *on;
    const char *reason, *details; /* NULL: none; details is JSON */
};
/* There has to be a producer. done runs once, from the loop: err is NULL when the log has it. */
void console_audit(struct console *console, const char *group, const struct audit_note *note,
                   void (*done)(void *arg, const struct err *err), void *arg);
bool console_producer(struct console *console, struct err *err) MUST_CHECK;
/* Who it is, for jobs and the audit log; owned by the caller. */
char *console_by(const struct guard_pass *who);

/* letters_reader.c: one record after the other. done runs once, on the loop; rec NULL: it is gone
 * (no err), or err says why. */
struct letters_reader *letters_reader_new(struct loop *loop, const struct config *config);
void letters_reader_free(struct letters_reader **reader);
void letters_reader_get(struct letters_reader *reader, const struct dlq_id *id,
                        void (*done)(void *arg, struct record *rec, const struct err *err),
                        void *arg);

/* keys.c: the ledger's words on a key. done runs once, on the loop. */
struct keys *keys_new(struct loop *loop, const struct config *config);
void keys_free(struct keys **keys);
/* Connected when first asked for; NULL: err says why. */
struct ledger *keys_ledger(struct keys *keys, struct err *err);
void keys_ask(struct keys *keys, const struct route_config *route, const char *topic,
              struct slice key,
              void (*done)(void *arg, bool found, const struct buf *words, const struct err *err),
              void *arg);

/* api_job_start.c: a job is known now; who asked for it may wait for that. */
void job_start_seen(struct console *console, const struct redrive_job *job);

/* Endpoints. */
void api_overview(void *arg, struct call *call, const struct route_match *match);
void api_groups(void *arg, struct call *call, const struct route_match *match);
void api_group(void *arg, struct call *call, const struct route_match *match);
void api_letters(void *arg, struct call *call, const struct route_match *match);
void api_letter(void *arg, struct call *call, const struct route_match *match);
void api_key(void *arg, struct call *call, const struct route_match *match);
void api_jobs(void *arg, struct call *call, const struct route_match *match);
void api_job(void *arg, struct call *call, const struct route_match *match);
void api_job_records(void *arg, struct call *call, const struct route_match *match);
void api_job_start(void *arg, struct call *call, const struct route_match *match);
void api_job_plan(void *arg, struct call *call, const struct route_match *match);
void api_job_cancel(void *arg, struct call *call, const struct route_match *match);
void api_export(void *arg, struct call *call, const struct route_match *match);
void api_export_chosen(void *arg, struct call *call, const struct route_match *match);
void api_import(void *arg, struct call *call, const struct route_match *match);
void api_edit(void *arg, struct call *call, const struct route_match *match);
void api_archive(void *arg, struct call *call, const struct route_match *match);
void api_purge(void *arg, struct call *call, const struct route_match *match);
void api_audit(void *arg, struct call *call, const struct route_match *match);
void api_config(void *arg, struct call *call, const struct route_match *match);
void api_events(void *arg, struct call *call, const struct route_match *match);
void api_openapi(void *arg, struct call *call, const struct route_match *match);
void api_metrics(void *arg, struct call *call, const struct route_match *match);
void api_livez(void *arg, struct call *call, const struct route_match *match);

/* api_overview.c: counts what is open, for metrics and events. */
void console_count(struct console *console);

#endif
