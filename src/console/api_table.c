/*
 * The table of endpoints: what the router serves, what the guard asks, and what the OpenAPI
 * document says. The shapes of bodies are JSON Schema (schemas.json) and are checked against the
 * answers by the tests.
 */
#include "console/assets.h"
#include "console/console_parts.h"

#define TEXT   "{\"type\":\"string\"}"
#define NUMBER "{\"type\":\"integer\",\"minimum\":0}"
#define STATE  "{\"enum\":[\"open\",\"redriving\",\"resolved\",\"archived\",\"any\"]}"
#define RESULT                                                                                     \
    "{\"enum\":[\"on_its_way\",\"resolved\",\"superseded\",\"dropped\",\"duplicate\","             \
    "\"failed\",\"unknown\",\"skipped\"]}"
#define LIMIT       "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}"
#define COUNT       "{\"type\":\"integer\",\"minimum\":1}"
#define FLAG        "{\"type\":\"boolean\"}"
#define SHAPE(name) "{\"$ref\":\"#/components/schemas/" name "\"}"

#define JSON_BODY(name)                                                                            \
    &(const struct endpoint_body)                                                                  \
    {                                                                                              \
        "application/json", SHAPE(name), NULL                                                      \
    }
/* No schema: whatever is sent is text to the check of lines. */
static const struct endpoint_body json_lines = {
    "application/x-ndjson", "{}", "`oncegate dlq import FILE` takes a file of any length"};

/* The names of dlq/filter.h. */
#define FILTER                                                                                     \
    {"route", false, false, TEXT, "name of a route"},                                              \
        {"topic", false, false, TEXT, "dead-letter topic"},                                        \
        {"code", false, false, TEXT, "error code"},                                                \
        {"status", false, false, TEXT, "HTTP status, 404 or 5xx"},                                 \
        {"key", false, false, TEXT, "Kafka key, exactly"},                                         \
        {"key_hex", false, false, TEXT, "Kafka key in hex digits"},                                \
        {"since", false, false, TEXT, "RFC 3339, ms since the epoch, or an age such as 2h"},       \
        {"until", false, false, TEXT, "as since; exclusive"},                                      \
        {"text", false, false, TEXT,                                                               \
         "words of key, value, headers and detail; word* for a prefix"},                           \
        {"state", false, true, STATE, "open and redriving where none is given"},                   \
    {                                                                                              \
        "id", false, true, TEXT, "topic/partition/offset"                                          \
    }

static const struct endpoint_param groups_params[] = {
    FILTER, {"signature", false, false, TEXT, "of a group"}, {0}};
static const struct endpoint_param group_params[] = {
    {"signature", true, false, TEXT, "of the group"}, {0}};
static const struct endpoint_param letters_params[] = {
    FILTER,
    {"signature", false, false, TEXT, "of a group"},
    {"cursor", false, false, TEXT, "`next` of the page before"},
    {"limit", false, false, LIMIT, "lines of a page"},
    {0}};
static const struct endpoint_param export_params[] = {
    FILTER,
    {"signature", false, false, TEXT, "of a group"},
    {"limit", false, false, COUNT, "at most so many, the newest; all where it is not given"},
    {0}};
static const struct endpoint_param import_params[] = {
    {"dry_run", false, false, FLAG, "true: looks at every line, and produces nothing"},
    {"skip_bad", false, false, FLAG,
     "true: leaves bad lines out; else nothing is produced where one is bad"},
    {"reason", false, false, TEXT, "for the audit log"},
    {0}};
static const struct endpoint_param letter_params[] = {
    {"topic", true, false, TEXT, "dead-letter topic"},
    {"partition", true, false, NUMBER, "partition"},
    {"offset", true, false, NUMBER, "offset"},
    {0}};
static const struct endpoint_param key_params[] = {
    {"route", true, false, TEXT, "name of the route"},
    {"topic", true, false, TEXT, "source topic"},
    {"key", true, false, TEXT, "Kafka key"},
    {0}};

static const struct endpoint_param jobs_params[] = {
    {"group", false, false, TEXT, "a consumer group"},
    {"cursor", false, false, TEXT, "`next` of the page before"},
    {"limit", false, false, LIMIT, "lines of the answer; 50 where it is not given"},
    {0}};
static const struct endpoint_param job_params[] = {{"id", true, false, TEXT, "of the job"}, {0}};
static const struct endpoint_param job_records_params[] = {
    {"id", true, false, TEXT, "of the job"},
    {"result", false, true, RESULT, "all where none is given"},
    {"cursor", false, false, TEXT, "`next` of the page before"},
    {"limit", false, false, LIMIT, "lines of a page"},
    {0}};
static const struct endpoint_param audit_params[] = {
    {"group", false, false, TEXT, "a consumer group"},
    {"since", false, false, TEXT, "RFC 3339, ms since the epoch, or an age such as 2h"},
    {"cursor", false, false, TEXT, "`next` of the page before"},
    {"limit", false, false, LIMIT, "lines of the answer; 50 where it is not given"},
    {0}};

const struct endpoint api_table[] = {
    {METHOD_GET, "/api/v1/overview", ROLE_VIEWER, false, "getOverview",
     "Routes, their dead letters, how far the topics are read, and the gateways' own words",
     "`gateways` are asked for their status; one that does not answer is told of as such.", NULL,
     "application/json", SHAPE("Overview"), api_overview, NULL},
    {METHOD_GET, "/api/v1/groups", ROLE_VIEWER, false, "listGroups", "What fails, in groups",
     "Groups that have a letter in the states that are asked for, the largest first.",
     groups_params, "application/json", SHAPE("Groups"), api_groups, NULL},
    {METHOD_GET, "/api/v1/groups/{signature}", ROLE_VIEWER, false, "getGroup", "One group", NULL,
     group_params, "application/json", SHAPE("Groups"), api_group, NULL},
    {METHOD_GET, "/api/v1/letters", ROLE_VIEWER, false, "listLetters", "Dead letters, newest first",
     "A page; `next` is the cursor of the page after, empty at the end. `covered` says how much of "
     "the topics was read.",
     letters_params, "application/json", SHAPE("Letters"), api_letters, NULL},
    {METHOD_GET, "/api/v1/letters/{topic}/{partition}/{offset}", ROLE_VIEWER, false, "getLetter",
     "One dead letter with its record", NULL, letter_params, "application/json",
     SHAPE("WholeLetter"), api_letter, NULL},
    {METHOD_GET, "/api/v1/export", ROLE_VIEWER, false, "exportLetters",
     "Dead letters as JSON lines, the oldest of each partition first",
     "A line for each, as `oncegate dlq export` writes it and `kcat -J` names it; what is hidden "
     "from the role is left out, and the line says so. The last line tells how many they are and "
     "whether that is all: {\"end\":{\"letters\":3,\"complete\":true,\"why\":null}}. An answer "
     "that "
     "breaks off is not whole.",
     export_params, "application/x-ndjson", "{\"type\":\"string\"}", api_export, NULL},
    {METHOD_POST, "/api/v1/export", ROLE_VIEWER, false, "exportChosenLetters",
     "The same, for a selection that is too long for an address", "Changes nothing.", NULL,
     "application/x-ndjson", "{\"type\":\"string\"}", api_export_chosen, JSON_BODY("ExportOrder")},
    {METHOD_POST, "/api/v1/import", ROLE_ADMIN, true, "importLetters",
     "Exported lines back into their dead-letter topics, as new dead letters",
     "Every line is looked at before anything is produced. A line is never changed on the way, and "
     "each import is a new one: what is sent twice is there twice. A line of which something is "
     "hidden is bad.",
     import_params, "application/json", SHAPE("Imported"), api_import, &json_lines},
    {METHOD_POST, "/api/v1/letters/{topic}/{partition}/{offset}/edit", ROLE_ADMIN, true,
     "editLetter", "Sends an edited copy of a dead letter round again",
     "Only with console.allow_edits. The copy is a new dead letter that names the one it was made "
     "of, and a job redrives it; the first one is archived and names the copy. Oncegate's own "
     "headers, and what the identity and the key are read from, are locked. `value` or `headers` "
     "left out: as they are.",
     letter_params, "application/json", SHAPE("Edited"), api_edit, JSON_BODY("EditOrder")},
    {METHOD_GET, "/api/v1/keys/{route}/{topic}/{key}", ROLE_VIEWER, false, "getKey",
     "What the ledger knows of a key, in words, and its dead letters", NULL, key_params,
     "application/json", SHAPE("Key"), api_key, NULL},
    {METHOD_GET, "/api/v1/jobs", ROLE_VIEWER, false, "listJobs", "Redrive jobs, newest first",
     "`groups` says of each consumer group whether its jobs are known and whether this console "
     "runs them. `next` is the cursor of the page after, empty at the end.",
     jobs_params, "application/json", SHAPE("Jobs"), api_jobs, NULL},
    {METHOD_POST, "/api/v1/jobs", ROLE_OPERATOR, true, "startJob", "Sends dead letters round again",
     "The job is written to the group's topic of jobs and done by whichever console or command "
     "runs "
     "them. `force` delivers records although later ones of their keys have succeeded: it wants a "
     "reason, and the word force as `confirm`.",
     NULL, "application/json", SHAPE("Job"), api_job_start, JSON_BODY("JobOrder")},
    {METHOD_POST, "/api/v1/jobs/dry-run", ROLE_OPERATOR, false, "planJob",
     "What such a job would do", "Reads the topics and the ledger, and changes nothing.", NULL,
     "application/json", SHAPE("Plan"), api_job_plan, JSON_BODY("JobOrder")},
    {METHOD_GET, "/api/v1/jobs/{id}", ROLE_VIEWER, false, "getJob", "One redrive job", NULL,
     job_params, "application/json", SHAPE("Job"), api_job, NULL},
    {METHOD_GET, "/api/v1/jobs/{id}/records", ROLE_VIEWER, false, "listJobRecords",
     "What became of each letter of a job",
     "Those that it sent, in the order of partitions and offsets, then those that it skipped, by "
     "reason; a page may stop short, `next` is the cursor of the page after, empty at the end. "
     "`at` is when it was sent where it is on its way, else when it ended: the topics do not keep "
     "both. `unknown`: it has ended, and was put away by a program that did not keep how. Of "
     "skipped ones as many are listed as `skipped_listed` of the job says.",
     job_records_params, "application/json", SHAPE("JobRecords"), api_job_records, NULL},
    {METHOD_POST, "/api/v1/jobs/{id}/cancel", ROLE_OPERATOR, true, "cancelJob",
     "Ends a job: it sends nothing more", "What it has sent goes on.", job_params,
     "application/json", SHAPE("Job"), api_job_cancel, JSON_BODY("CancelOrder")},
    {METHOD_POST, "/api/v1/archive", ROLE_OPERATOR, true, "archiveLetters",
     "Puts dead letters away, without deleting them",
     "Open and resolved ones; open ones where the filter names no state. At most 10,000 at a time: "
     "`more` says that others are left.",
     NULL, "application/json", SHAPE("Archived"), api_archive, JSON_BODY("ArchiveOrder")},
    {METHOD_POST, "/api/v1/purge", ROLE_ADMIN, true, "purgeLetters",
     "Deletes the oldest dead letters of a partition for ever",
     "All that Kafka can delete of a log is its beginning, up to an offset. Wants the topic's name "
     "as `confirm`.",
     NULL, "application/json", SHAPE("Purged"), api_purge, JSON_BODY("PurgeOrder")},
    {METHOD_GET, "/api/v1/audit", ROLE_VIEWER, false, "listAudit", "Who changed what, newest first",
     "Of all groups of the configuration, or of one.", audit_params, "application/json",
     SHAPE("Audit"), api_audit, NULL},
    {METHOD_GET, "/api/v1/config", ROLE_VIEWER, false, "getConfig",
     "The effective configuration, secrets as ***", NULL, NULL, "application/json", SHAPE("Config"),
     api_config, NULL},
    {METHOD_GET, "/api/v1/events", ROLE_VIEWER, false, "followEvents", "Server-sent events",
     "`groups`: counts of the routes have changed. `feed`: how far the topics are read. `job`: a "
     "redrive job is new or has moved (a Job without filter, reason and names). `reset`: what came "
     "since Last-Event-ID is not known any more.",
     NULL, "text/event-stream", "{\"type\":\"string\"}", api_events, NULL},
    {METHOD_GET, "/api/openapi.json", ROLE_VIEWER, false, "getOpenapi", "This document", NULL, NULL,
     "application/json", "{\"type\":\"object\"}", api_openapi, NULL},
    {METHOD_GET, "/metrics", ROLE_VIEWER, false, "getMetrics", "Prometheus text", NULL, NULL,
     "text/plain; version=0.0.4; charset=utf-8", "{\"type\":\"string\"}", api_metrics, NULL},
    {METHOD_GET, "/livez", ROLE_NONE, false, "getLivez", "Whether the console lives", NULL, NULL,
     "text/plain; charset=utf-8", "{\"type\":\"string\"}", api_livez, NULL},
    {METHOD_GET, "/", ROLE_NONE, false, "getPage",
     "The page; where it was not built, how to get it", NULL, NULL,
     "text/html; charset=utf-8|text/plain; charset=utf-8", "{\"type\":\"string\"}", assets_serve,
     NULL},
    {0},
};
