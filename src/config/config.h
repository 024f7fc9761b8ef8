/*
 * The configuration as the program uses it: plain values, read-only after config_load. One table
 * (schema.c) drives parsing, printing, the JSON Schema and the reference page. Owned by struct
 * config; everything else borrows.
 */
#ifndef OG_CONFIG_CONFIG_H
#define OG_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "record/identity.h"

enum ordering { ORDERING_KEY, ORDERING_PARTITION, ORDERING_NONE };
enum delivery_mode { DELIVERY_AT_LEAST_ONCE, DELIVERY_AT_MOST_ONCE };
enum offset_start { OFFSET_EARLIEST, OFFSET_LATEST, OFFSET_STOP };
enum dedup_mode { DEDUP_ENFORCE, DEDUP_OBSERVE };
/* From what a ledger is filled again that lost its data. */
enum rebuild_from { REBUILD_FROM_NOTHING, REBUILD_FROM_TOPIC };
enum dedup_scope { SCOPE_TOPIC, SCOPE_ROUTE };
/* What a policy key (on_missing, on_indeterminate, on_superseded, on_duplicate, on_redis_down,
 * parked.on_full ...) says. */
enum policy {
    POLICY_DELIVER,
    POLICY_DEAD_LETTER,
    POLICY_DROP,
    POLICY_SETTLE,
    POLICY_WAIT,
    POLICY_PAUSE,
    POLICY_CONTINUE,
    POLICY_BLOCK_KEY,
    POLICY_BLOCK,
    POLICY_SPOOL
};

enum outcome { OUTCOME_SUCCESS, OUTCOME_RETRY, OUTCOME_DEAD_LETTER, OUTCOME_DROP, OUTCOME_PAUSE };

/* Why there is no (whole) answer. Bits, so that a rule can name several. */
enum handler_error {
    HANDLER_OK = 0,
    HANDLER_CONNECT = 1 << 0,
    HANDLER_DNS = 1 << 1,
    HANDLER_TLS = 1 << 2,
    HANDLER_TIMEOUT = 1 << 3, /* the deadline passed with the request (partly) sent: ambiguous */
    HANDLER_RESET =
        1 << 4, /* closed or reset before a whole answer: ambiguous where the request was sent */
    HANDLER_PROTOCOL = 1 << 5,
    HANDLER_ANY_ERROR = 0x3f,
};

struct classify_rule {
    uint64_t statuses[8]; /* bit n: status 100 + n, 100..599 in the first 500 bits */
    unsigned errors;      /* enum handler_error bits */
    enum outcome outcome;
    bool breaker; /* counts for the breaker */
};

struct property {
    char *name;
    char *value;
    bool secret;
    unsigned line, column; /* of its name in the file */
};
struct properties {
    struct property *items;
    size_t count;
};

struct tls_config {
    char *ca_file, *cert_file, *key_file, *server_name; /* NULL: not set */
};

struct request_header {
    char *name;
    char *value; /* NULL where it is read from file, at each (re)start */
    char *file;
};

struct handler_config {
    char *url;    /* http://..., https://... */
    char *socket; /* unix socket path or NULL */
    int64_t timeout_ms, connect_timeout_ms, idle_timeout_ms;
    uint32_t max_in_flight;
    uint64_t max_response_bytes;
    char **forward_headers;
    size_t forward_header_count;
    struct request_header *request_headers;
    size_t request_header_count;
    struct tls_config tls;
    bool hide_key;
    bool idempotency_key_bare; /* false: quoted sf-string */
    char **sign_secret_files;
    size_t sign_secret_file_count;
    uint32_t batch_max_records; /* 1: one request for each record */
    uint64_t batch_max_bytes;
};

struct retry_config {
    uint32_t inline_max_retries;
    int64_t inline_initial_ms, inline_max_ms;
    double inline_multiplier;
    int64_t *tiers_ms; /* strictly growing */
    size_t tier_count;
    int64_t give_up_after_ms;
    int64_t retry_after_max_ms;
    char *topic; /* template with {group} {topic} {delay} */
};

struct dead_letter_config {
    char *topic; /* template with {group} {topic} */
    uint64_t detail_bytes;
    enum policy on_key;           /* CONTINUE | BLOCK_KEY */
    enum policy on_write_failure; /* SPOOL | BLOCK */
    double pause_share;           /* 0.5 = 50% */
    uint32_t pause_records;
    int64_t pause_window_ms;
};

struct dedup_config {
    enum dedup_mode mode;
    enum dedup_scope scope;
    struct identity_rule rule;
    int64_t ttl_ms;
    enum rebuild_from rebuild_from;
    char *marks_topic; /* template with {group} {topic} */
    enum policy on_missing, on_indeterminate, on_superseded, on_duplicate, on_redis_down;
};

struct route_config {
    char *name;
    char **topics; /* names */
    size_t topic_count;
    char *topics_regex; /* "^..." or NULL; then topics is empty */
    char *group;
    enum offset_start initial_offset, on_offset_lost;
    enum ordering ordering;
    enum delivery_mode delivery;
    int64_t commit_every_ms;
    uint32_t commit_records;
    struct dedup_config dedup;
    struct handler_config handler;
    struct classify_rule *classify; /* effective: the user's rules, or the default table */
    size_t classify_count;
    struct retry_config retry;
    struct dead_letter_config dead_letter;
    struct {
        uint32_t failures, distinct_keys;
        int64_t probe_every_ms;
    } breaker;
    struct {
        uint32_t per_key;
        enum policy on_full;
        int64_t ghost_ttl_ms; /* effective where "auto" */
    } parked;
    struct {
        uint32_t records;
        uint64_t bytes;
        uint32_t rate_per_s; /* 0: none */
    } limits;
    int64_t shutdown_drain_ms, rebalance_drain_ms;
    int64_t stuck_after_ms;
    unsigned line; /* where the route stands in the file */
};

struct listen_config {
    char *host;
    uint16_t port;
};

/* Of `oncegate console`; `run` does not look at it. */
struct console_config {
    struct listen_config listen;
    char *index_file; /* NULL: the default of the user, see console_index_path */
    char **hosts;     /* names that a browser may call it by */
    size_t host_count;
    struct {
        char *cert_file, *key_file;
    } tls;
    struct {
        char *viewer_file, *operator_file, *admin_file;
    } tokens;
    struct {
        char **addresses; /* numeric */
        size_t address_count;
        char *user_header, *role_header;
    } proxy;
    struct {
        char **pointers;
        size_t pointer_count;
        char **headers;
        size_t header_count;
    } mask;
    bool allow_changes, allow_edits;
    char **gateways; /* host:port of their admin.listen; none: this configuration's */
    size_t gateway_count;
    struct {
        uint32_t connections;
        uint64_t header_bytes, body_bytes, value_bytes;
        int64_t request_ms;
    } limits;
};

enum redis_kind { REDIS_ALONE, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_place {
    char *host;
    uint16_t port;
};

struct redis_config {
    enum redis_kind kind;
    bool tls_on;
    char *host; /* REDIS_ALONE; NULL where unix_path is set */
    uint16_t port;
    struct redis_place
        *places; /* REDIS_SENTINEL: the sentinels; REDIS_CLUSTER: nodes to ask first */
    size_t place_count;
    char *master; /* REDIS_SENTINEL: the name that the sentinels know it by */
    char *sentinel_username, *sentinel_password; /* NULL: none */
    char *unix_path;
    int db;
    char *username, *password; /* NULL: none; password read from password_file or the URL */
    struct tls_config tls;
    char *ns; /* "namespace" */
    uint32_t shards;
    int64_t timeout_ms;
    uint32_t wait_replicas;
    int64_t wait_timeout_ms;
    bool allow_eviction; /* start even where the eviction policy is not noeviction */
};

struct config {
    char *file; /* as given, for messages */
    struct properties kafka, kafka_consumer, kafka_producer;
    struct redis_config redis;
    struct listen_config admin;
    struct console_config console;
    uint32_t workers;
    enum log_level log_level;
    enum log_format log_format;
    uint64_t process_bytes;
    char *spool_dir; /* NULL: no spool */
    uint64_t spool_max_bytes;
    int64_t spool_after_ms;
    struct route_config *routes;
    size_t route_count;
};

/* One complaint. */
struct config_problem {
    unsigned line, column; /* 1-based; 0: not at one place */
    char *path;            /* e.g. routes[0].retry.tiers[1] */
    char *text;            /* what is wrong, with the hint */
    bool warning;
};
struct config_problems {
    struct config_problem *items;
    size_t count;
};

/*
 * Loads and checks a file. All problems at once; returns NULL where one of them is an error, and
 * err then says how many. Warnings are in *problems also on success. config_problems_free in both
 * cases.
 */
struct config *config_load(const char *file, struct config_problems *problems,
                           struct err *err) MUST_CHECK;
/* The same from memory; name stands in messages. */
struct config *config_parse(const char *text, size_t len, const char *name,
                            struct config_problems *problems, struct err *err) MUST_CHECK;
void config_free(struct config **config);
void config_problems_free(struct config_problems *problems);
/* -c FILE (may be NULL), else $ONCEGATE_CONFIG, else ./oncegate.yaml. */
const char *config_file(const char *given);
/* "file:line:column: path: text" lines. */
void config_problems_print(const struct config_problems *problems, const char *file,
                           struct buf *out);

/* JSON Schema of the file. */
void config_schema(struct buf *out);
/* Effective values as YAML, secrets as ***. */
void config_show(const struct config *config, struct buf *out);
/* One key's meaning (type, default, unit, text) for a path like routes.handler.timeout; false with
 * a hint if unknown. */
bool config_explain(const char *path, struct buf *out, struct err *err) MUST_CHECK;
/* The effective classify table of a route, for `check`. */
void config_show_classify(const struct route_config *route, struct buf *out);
/* The reference page (Markdown), generated into docs/configuration.md. */
void config_reference(struct buf *out);

/* An address in digits that is this machine alone, or localhost. */
bool config_is_loopback(const char *host);

const struct route_config *config_find_route(const struct config *config, const char *name);

/* Topic names of a route (topics.c); heap text, transferred. */
char *config_tier_topic(const struct route_config *route, const char *topic,
                        int64_t delay_ms) MUST_CHECK;
char *config_redrive_topic(const struct route_config *route, const char *topic) MUST_CHECK;
char *config_dlq_topic(const struct route_config *route, const char *topic) MUST_CHECK;
char *config_marks_topic(const struct route_config *route, const char *topic) MUST_CHECK;
/* Topics of a route's group, whatever its source topics; their names are not configurable. */
char *config_dlq_state_topic(const struct route_config *route) MUST_CHECK;
char *config_dlq_jobs_topic(const struct route_config *route) MUST_CHECK;
char *config_audit_topic(const struct route_config *route) MUST_CHECK;
const char *outcome_name(enum outcome outcome);
/* connect dns tls timeout reset protocol; takes one bit. */
const char *handler_error_name(enum handler_error error);

#endif
