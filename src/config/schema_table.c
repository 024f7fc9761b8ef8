/*
 * The table itself. The order of its rows is the order of `config show` and of the reference page;
 * a section's row stands before the rows below it. A preset is YAML and goes through the same
 * parsing as a value in the file.
 */
#include "config/schema.h"

#include "config/config.h"
#include "config/schema_checks.h"

#define MS  INT64_C(1)
#define SEC (1000 * MS)
#define MIN (60 * SEC)
#define HR  (60 * MIN)
#define DAY (24 * HR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define C(field) offsetof(struct config, field)
#define R(field) offsetof(struct route_config, field)
#define K(field) offsetof(struct classify_rule, field)

static const struct schema_choice log_levels[] = {
    {"debug", LOG_DEBUG, false, "every step, for finding a fault"},
    {"info", LOG_INFO, false, "what an operator wants to have seen"},
    {"warn", LOG_WARN, false, "what may need a person"},
    {"error", LOG_ERROR, false, "what failed"},
    {0},
};
static const struct schema_choice log_formats[] = {
    {"auto", LOG_FORMAT_AUTO, false, "logfmt on a terminal, JSON otherwise"},
    {"logfmt", LOG_FORMAT_LOGFMT, false, "name=value"},
    {"json", LOG_FORMAT_JSON, false, "one JSON object a line"},
    {0},
};
static const struct schema_choice initial_offsets[] = {
    {"earliest", OFFSET_EARLIEST, false, "from the oldest record that the topic holds"},
    {"latest", OFFSET_LATEST, false, "only what is produced after the group's first start"},
    {0},
};
static const struct schema_choice lost_offsets[] = {
    {"stop", OFFSET_STOP, false, "the partition waits for a person"},
    {"earliest", OFFSET_EARLIEST, false, "from the oldest record that the topic holds"},
    {"latest", OFFSET_LATEST, false, "what lies between is skipped"},
    {0},
};
static const struct schema_choice orderings[] = {
    {"key", ORDERING_KEY, false, "one record of a key at a time, in order, through retries too"},
    {"partition", ORDERING_PARTITION, false,
     "one record of a partition at a time; retries in place, so no tiers"},
    {"none", ORDERING_NONE, false, "no order"},
    {0},
};
static const struct schema_choice deliveries[] = {
    {"at-least-once", DELIVERY_AT_LEAST_ONCE, false,
     "the offset is committed after the handler succeeded"},
    {"at-most-once", DELIVERY_AT_MOST_ONCE, false,
     "the offset is committed before the delivery, which is not retried: records can be lost, and "
     "what fails is a dead letter"},
    {0},
};
static const struct schema_choice dedup_modes[] = {
    {"enforce", DEDUP_ENFORCE, false, "a proven duplicate is not delivered"},
    {"observe", DEDUP_OBSERVE, false,
     "all is delivered; what would have been stopped is counted, for a safe start"},
    {0},
};
static const struct schema_choice identities[] = {
    {"sequence", IDENTITY_SEQUENCE, false,
     "the producer numbers the records of each key 1, 2, 3 ..."},
    {"version", IDENTITY_VERSION, false,
     "a number that grows strictly per key, holes are normal: versions, log positions, times"},
    {"event-id", IDENTITY_EVENT_ID, false, "an opaque unique id, remembered for ttl"},
    {"offset", IDENTITY_OFFSET, false,
     "source partition and offset: survives crashes and lost commits, does not see a producer's "
     "duplicates"},
    {"none", IDENTITY_NONE, false, "no check; retries and dead letters only"},
    {0},
};
static const struct schema_choice scopes[] = {
    {"topic", SCOPE_TOPIC, false, "each topic counts for itself"},
    {"route", SCOPE_ROUTE, false, "one count per key across the route's topics"},
    {0},
};
static const struct schema_choice rebuild_sources[] = {
    {"none", REBUILD_FROM_NOTHING, false,
     "what was proven before is not any more: such records are delivered"},
    {"topic", REBUILD_FROM_TOPIC, false,
     "from a compacted topic, to which what is known of each key is written before each commit"},
    {0},
};
static const struct schema_choice number_formats[] = {
    {"integer", 0, false, "an unsigned 64-bit number"},
    {"rfc3339", 1, false, "a time such as 2026-01-02T03:04:05.678Z, taken in ns (version only)"},
    {0},
};
static const struct schema_choice missing_policies[] = {
    {"dead-letter", POLICY_DEAD_LETTER, false, "to the dead-letter topic"},
    {"deliver", POLICY_DELIVER, false, "delivered unchecked, and counted"},
    {0},
};
static const struct schema_choice indeterminate_policies[] = {
    {"deliver", POLICY_DELIVER, false, "delivered with Oncegate-Dedup: indeterminate"},
    {"dead-letter", POLICY_DEAD_LETTER, false, "to the dead-letter topic"},
    {0},
};
static const struct schema_choice superseded_policies[] = {
    {"drop", POLICY_DROP, false, "settled as stale, and counted"},
    {"dead-letter", POLICY_DEAD_LETTER, false, "to the dead-letter topic"},
    {"deliver", POLICY_DELIVER, false, "delivered all the same"},
    {0},
};
static const struct schema_choice duplicate_policies[] = {
    {"settle", POLICY_SETTLE, false, "counted and done with"},
    {"topic", POLICY_CONTINUE, true, "a copy goes to dup.<group>.<topic>"},
    {0},
};
static const struct schema_choice redis_down_policies[] = {
    {"wait", POLICY_WAIT, false, "nothing is delivered and nothing committed until Redis is back"},
    {"deliver", POLICY_DELIVER, true, "delivered unchecked, and counted: duplicates get through"},
    {0},
};
static const struct schema_choice key_styles[] = {
    {"quoted", 0, false, "as a structured-field string, in double quotes"},
    {"bare", 1, false, "without quotes"},
    {0},
};
static const struct schema_choice on_key_policies[] = {
    {"continue", POLICY_CONTINUE, false, "the key's later records are delivered"},
    {"block-key", POLICY_BLOCK_KEY, false,
     "the key's later records wait, as parked ones do, until it is redriven with success or a "
     "person "
     "says `ledger release`"},
    {0},
};
static const struct schema_choice write_failure_policies[] = {
    {"block", POLICY_BLOCK, false, "the partition waits until the dead-letter topic takes it"},
    {"spool", POLICY_SPOOL, false,
     "kept in the local spool (spool.dir), and written to the topic once that takes it"},
    {0},
};
static const struct schema_choice parked_full_policies[] = {
    {"pause", POLICY_PAUSE, false, "the source partition waits"},
    {"dead-letter", POLICY_DEAD_LETTER, false, "dead-lettered with the code parked-full, in order"},
    {0},
};
static const struct schema_choice outcomes[] = {
    {"success", OUTCOME_SUCCESS, false, "done"},
    {"retry", OUTCOME_RETRY, false, "again: inline, then by the tiers"},
    {"dead-letter", OUTCOME_DEAD_LETTER, false, "given up, to the dead-letter topic"},
    {"drop", OUTCOME_DROP, false, "given up without a copy, and counted"},
    {"pause", OUTCOME_PAUSE, false, "the route stops and waits for a person"},
    {0},
};

#define DEFAULT_RULES                                                                              \
    "- {status: 2xx, outcome: success}\n"                                                          \
    "- {status: [3xx, 401, 403, 404, 405, 501], outcome: retry, breaker: true}\n"                  \
    "- {status: [408, 409, 425, 429], outcome: retry}\n"                                           \
    "- {status: 5xx, outcome: retry, breaker: true}\n"                                             \
    "- {error: any, outcome: retry, breaker: true}\n"                                              \
    "- {status: 4xx, outcome: dead-letter}\n"

const struct schema_key schema_keys[] = {
    {"version", TYPE_VERSION, .preset = "1", .at = NO_PLACE, .min = 1, .max = 1,
     .doc = "The version of this format."},

    {"kafka", TYPE_PROPERTIES, .at = C(kafka), .required = true,
     .example = "{bootstrap.servers: \"127.0.0.1:9092\"}",
     .doc = "librdkafka's properties, passed on as they are; those of one role only go below "
            "kafka.consumer or kafka.producer. "
            "A property whose value is secret can be read from a file: <name>_file, e.g. "
            "sasl.password_file. "
            "group.instance.id may hold {route} and {worker}. What this program decides by itself "
            "is refused with the reason."},
    {"kafka.consumer", TYPE_PROPERTIES, .at = C(kafka_consumer), .unset = "none",
     .doc = "Properties for consumers only."},
    {"kafka.producer", TYPE_PROPERTIES, .at = C(kafka_producer), .unset = "none",
     .doc = "Properties for producers only."},

    {"redis", TYPE_SECTION, .doc = "Where the ledger is kept: Redis or Valkey, 7.0 or later."},
    {"redis.url", TYPE_REDIS_URL, .preset = "redis://127.0.0.1:6379/0", .at = C(redis),
     .doc =
         "redis://[user:password@]host:port/db, unix:///path?db=0, "
         "redis+sentinel://host:port,host:port/master?db=0 (the sentinels, and their name of the "
         "master) or redis+cluster://host:port,host:port (some nodes; the others are found); "
         "rediss://, rediss+sentinel:// and rediss+cluster:// for TLS."},
    {"redis.username", TYPE_TEXT, .at = C(redis.username), .check = check_not_empty,
     .unset = "Redis' default user", .doc = "The ACL user."},
    {"redis.password", TYPE_SECRET, .at = C(redis.password), .unset = "none",
     .doc = "The password; better kept out of this file by ${NAME} or password_file."},
    {"redis.password_file", TYPE_SECRET_FILE, .at = C(redis.password), .check = check_path,
     .unset = "none", .doc = "A file that holds the password; one line end behind it is left out."},
    {"redis.sentinel", TYPE_SECTION,
     .doc = "How to log in to the sentinels of redis+sentinel://; the user and password above are "
            "the master's."},
    {"redis.sentinel.username", TYPE_TEXT, .at = C(redis.sentinel_username),
     .check = check_not_empty, .unset = "the sentinels' default user", .doc = "The ACL user."},
    {"redis.sentinel.password", TYPE_SECRET, .at = C(redis.sentinel_password), .unset = "none",
     .doc = "The sentinels' password."},
    {"redis.sentinel.password_file", TYPE_SECRET_FILE, .at = C(redis.sentinel_password),
     .check = check_path, .unset = "none",
     .doc = "A file that holds the password; one line end behind it is left out."},
    {"redis.tls", TYPE_SECTION,
     .doc = "TLS of rediss:// connections, to sentinels too; the server's certificate is always "
            "verified."},
    {"redis.tls.ca_file", TYPE_TEXT, .at = C(redis.tls.ca_file), .check = check_path,
     .unset = "the system's", .doc = "The authorities that are trusted, PEM."},
    {"redis.tls.cert_file", TYPE_TEXT, .at = C(redis.tls.cert_file), .check = check_path,
     .unset = "none", .doc = "The client's certificate, PEM; needs key_file."},
    {"redis.tls.key_file", TYPE_TEXT, .at = C(redis.tls.key_file), .check = check_path,
     .unset = "none", .doc = "The key of cert_file, PEM."},
    {"redis.tls.server_name", TYPE_TEXT, .at = C(redis.tls.server_name), .check = check_host,
     .unset = "the host it connects to",
     .doc = "The name that the certificate of every server must carry."},
    {"redis.namespace", TYPE_TEXT, .preset = "og", .at = C(redis.ns), .check = check_namespace,
     .doc = "The prefix of all keys in Redis."},
    {"redis.shards", TYPE_COUNT, .preset = "64", .at = C(redis.shards), .min = 1, .max = 4096,
     .doc = "Into how many hash tags the keys are spread. Written into Redis at first use; a "
            "mismatch is refused. In a cluster a call serves one of them only, so 4 to 8 for each "
            "master serve best."},
    {"redis.timeout", TYPE_DURATION, .preset = "2s", .at = C(redis.timeout_ms), .min = 10 * MS,
     .max = MIN, .doc = "How long a call may take before the connection is given up."},
    {"redis.wait", TYPE_SECTION, .doc = "WAIT for replicas after each batch of finishes."},
    {"redis.wait.replicas", TYPE_COUNT, .preset = "0", .at = C(redis.wait_replicas), .min = 0,
     .max = 16,
     .doc = "How many replicas must have a finish before it counts; 0: do not wait. While fewer "
            "have it, nothing is confirmed."},
    {"redis.wait.timeout", TYPE_DURATION, .preset = "100ms", .at = C(redis.wait_timeout_ms),
     .min = MS, .max = MIN, .doc = "How long to wait for them."},
    {"redis.allow_eviction", TYPE_BOOL, .preset = "false", .at = C(redis.allow_eviction),
     .doc = "Start even where Redis may evict keys (maxmemory-policy other than noeviction). An "
            "evicted key forgets what was delivered."},

    {"admin", TYPE_SECTION,
     .doc = "The endpoints for people and machines: /metrics, /livez, /readyz, /status."},
    {"admin.listen", TYPE_LISTEN, .preset = "127.0.0.1:9464", .at = C(admin),
     .doc = "Address and port; [::1]:9464 for IPv6; port 0 takes a free one."},

    {"console", TYPE_SECTION,
     .doc = "The page and the API for dead letters, of `oncegate console`; `run` does not read it. "
            "Without tokens and trusted_proxy it listens on loopback only, where everybody is an "
            "admin."},
    {"console.listen", TYPE_LISTEN, .preset = "127.0.0.1:9465", .at = C(console.listen),
     .doc = "Address and port; [::1]:9465 for IPv6; port 0 takes a free one. Beyond loopback only "
            "with tls and tokens, or with trusted_proxy."},
    {"console.index", TYPE_TEXT, .at = C(console.index_file), .check = check_path,
     .unset = "$XDG_STATE_HOME/oncegate/dead-letters.db (~/.local/state/...), for root "
              "/var/lib/oncegate/dead-letters.db",
     .doc = "The file of the index, which is built from the topics: deleting it loses nothing."},
    {"console.hosts", TYPE_TEXTS, .preset = "[]", .at = C(console.hosts),
     .count_at = C(console.host_count), .min = 0, .max = 100, .check = check_host,
     .doc = "Names that a browser may call it by, besides localhost and addresses. A request for "
            "any other name is refused: a page of another site could have its name point here."},
    {"console.tls", TYPE_SECTION, .doc = "TLS of its clients."},
    {"console.tls.cert_file", TYPE_TEXT, .at = C(console.tls.cert_file), .check = check_path,
     .unset = "no TLS", .doc = "Its certificate and the chain behind it, PEM."},
    {"console.tls.key_file", TYPE_TEXT, .at = C(console.tls.key_file), .check = check_path,
     .unset = "no TLS", .doc = "The certificate's key, PEM."},
    {"console.tokens", TYPE_SECTION,
     .doc = "Files of tokens, one on each line, 20 characters at least; read when it starts. Sent "
            "as `Authorization: Bearer TOKEN`, or as the password of a user's name (Basic)."},
    {"console.tokens.viewer_file", TYPE_TEXT, .at = C(console.tokens.viewer_file),
     .check = check_path, .unset = "none", .doc = "May look, but for what mask hides."},
    {"console.tokens.operator_file", TYPE_TEXT, .at = C(console.tokens.operator_file),
     .check = check_path, .unset = "none",
     .doc = "May also redrive and archive, where allow_changes is true."},
    {"console.tokens.admin_file", TYPE_TEXT, .at = C(console.tokens.admin_file),
     .check = check_path, .unset = "none", .doc = "May all, and sees what mask hides."},
    {"console.trusted_proxy", TYPE_SECTION,
     .doc = "A proxy in front that knows who somebody is. It must set both headers itself and drop "
            "those that it is sent."},
    {"console.trusted_proxy.addresses", TYPE_TEXTS, .preset = "[]",
     .at = C(console.proxy.addresses), .count_at = C(console.proxy.address_count), .min = 0,
     .max = 100, .check = check_address,
     .doc = "Its addresses, in digits; from any other the headers count for nothing."},
    {"console.trusted_proxy.user_header", TYPE_TEXT, .preset = "X-Forwarded-User",
     .at = C(console.proxy.user_header), .check = check_header_name,
     .doc = "The header with the user's name, for the audit log."},
    {"console.trusted_proxy.role_header", TYPE_TEXT, .preset = "X-Forwarded-Role",
     .at = C(console.proxy.role_header), .check = check_header_name,
     .doc = "The header with viewer, operator or admin."},
    {"console.mask", TYPE_SECTION,
     .doc = "What of a record only admins see. A value in which the pointers cannot be looked up "
            "(it is no JSON, or too long) is hidden whole, and who must not see it cannot search "
            "for text either."},
    {"console.mask.pointers", TYPE_TEXTS, .preset = "[]", .at = C(console.mask.pointers),
     .count_at = C(console.mask.pointer_count), .min = 0, .max = 100, .check = check_pointer,
     .doc = "JSON pointers into the value, e.g. /customer/email; * stands for any one member or "
            "element."},
    {"console.mask.headers", TYPE_TEXTS, .preset = "[]", .at = C(console.mask.headers),
     .count_at = C(console.mask.header_count), .min = 0, .max = 100, .check = check_not_empty,
     .doc = "Names of record headers; case does not matter."},
    {"console.allow_changes", TYPE_BOOL, .preset = "false", .at = C(console.allow_changes),
     .doc = "Whether anything can be changed through it. false: everybody can only look."},
    {"console.allow_edits", TYPE_BOOL, .preset = "false", .at = C(console.allow_edits),
     .doc = "Whether an admin may send a dead letter round again with another value or other "
            "headers of the app. What makes it the record that it is stays locked."},
    {"console.gateways", TYPE_TEXTS, .preset = "[]", .at = C(console.gateways),
     .count_at = C(console.gateway_count), .min = 0, .max = 100, .check = check_place,
     .doc = "Gateways whose status the overview shows, as host:port of their admin.listen. Where "
            "none is named, admin.listen of this configuration."},
    {"console.limits", TYPE_SECTION, .doc = "Bounds of what its clients can take."},
    {"console.limits.connections", TYPE_COUNT, .preset = "200", .at = C(console.limits.connections),
     .min = 4, .max = 10000, .doc = "Open connections."},
    {"console.limits.header", TYPE_SIZE, .preset = "16KiB", .at = C(console.limits.header_bytes),
     .min = KIB, .max = 64 * KIB, .doc = "Request line and headers of a request."},
    {"console.limits.body", TYPE_SIZE, .preset = "1MiB", .at = C(console.limits.body_bytes),
     .min = KIB, .max = 16 * MIB, .doc = "The body of a request."},
    {"console.limits.value", TYPE_SIZE, .preset = "1MiB", .at = C(console.limits.value_bytes),
     .min = KIB, .max = 64 * MIB,
     .doc = "How much of a record's value is shown; a longer one is cut, and said to be."},
    {"console.limits.request", TYPE_DURATION, .preset = "10s", .at = C(console.limits.request_ms),
     .min = 100 * MS, .max = 5 * MIN,
     .doc = "How long a request may take to arrive, and then its answer to be made and taken."},

    {"workers", TYPE_COUNT, .preset = "1", .at = C(workers), .min = 1, .max = 256,
     .doc = "Threads, each with its own consumers, Redis connection and handler connections."},
    {"log", TYPE_SECTION, .doc = "What is written to stderr."},
    {"log.level", TYPE_CHOICE, .preset = "info", .at = C(log_level), .choices = log_levels,
     .doc = "The least level that is written."},
    {"log.format", TYPE_CHOICE, .preset = "auto", .at = C(log_format), .choices = log_formats,
     .doc = "How a line looks."},
    {"limits", TYPE_SECTION, .doc = "Bounds of the process."},
    {"limits.process_bytes", TYPE_SIZE, .preset = "512MiB", .at = C(process_bytes), .min = 16 * MIB,
     .max = 1024 * GIB, .doc = "Memory for records, librdkafka's prefetch included."},
    {"spool", TYPE_SECTION,
     .doc = "Where dead letters wait, on a disk of this machine, that their topic refuses."},
    {"spool.dir", TYPE_TEXT, .at = C(spool_dir), .check = check_path, .unset = "no spool",
     .example = "/var/lib/oncegate/spool",
     .doc = "The folder: one for each process, made where it is not there. It must outlive the "
            "process."},
    {"spool.max", TYPE_SIZE, .preset = "256MiB", .at = C(spool_max_bytes), .min = MIB,
     .max = 1024 * GIB,
     .doc = "How much its files may take. A dead letter may take half of it; where there is no "
            "room, its partition waits."},
    {"spool.after", TYPE_DURATION, .preset = "1m", .at = C(spool_after_ms), .min = SEC, .max = DAY,
     .doc = "How long a dead letter waits for brokers that do not answer before it goes there. One "
            "that is refused goes at once."},

    {"routes", TYPE_ITEMS, .at = C(routes), .count_at = C(route_count),
     .item_size = sizeof(struct route_config), .min = 1, .max = 200, .required = true,
     .doc = "What goes where: source topics, a group, a handler and a policy each."},
    {"routes[].name", TYPE_TEXT, .at = R(name), .check = check_route_name, .required = true,
     .example = "orders", .doc = "Metrics, logs, commands and URLs use it. Unique."},
    {"routes[].topics", TYPE_TEXTS, .at = R(topics), .count_at = R(topic_count), .min = 1,
     .max = 200, .check = check_topic, .required = true, .example = "[orders]", .later_prefix = "^",
     .doc = "The source topics, by name. A ^regex is not in this version."},
    {"routes[].group", TYPE_TEXT, .at = R(group), .check = check_group, .required = true,
     .example = "orders-app", .doc = "The consumer group; one route each."},
    {"routes[].initial_offset", TYPE_CHOICE, .preset = "earliest", .at = R(initial_offset),
     .choices = initial_offsets,
     .doc = "Where a group that never was starts. Retry topics and partitions that are added later "
            "start at earliest."},
    {"routes[].on_offset_lost", TYPE_CHOICE, .preset = "stop", .at = R(on_offset_lost),
     .choices = lost_offsets,
     .doc =
         "What to do where the ledger knows the group, but its offsets are gone or out of range."},
    {"routes[].ordering", TYPE_CHOICE, .preset = "key", .at = R(ordering), .choices = orderings,
     .doc = "Which order is kept."},
    {"routes[].delivery", TYPE_CHOICE, .preset = "at-least-once", .at = R(delivery),
     .choices = deliveries, .doc = "Which side to err on."},
    {"routes[].commit", TYPE_SECTION,
     .doc = "How often offsets are committed; whichever comes first."},
    {"routes[].commit.every", TYPE_DURATION, .preset = "1s", .at = R(commit_every_ms),
     .min = 10 * MS, .max = 10 * MIN,
     .doc = "At least this often, while there is something to commit."},
    {"routes[].commit.records", TYPE_COUNT, .preset = "10000", .at = R(commit_records), .min = 1,
     .max = 1000000, .doc = "After this many settled records."},

    {"routes[].dedup", TYPE_SECTION,
     .doc = "What makes two records the same, and what follows from it."},
    {"routes[].dedup.mode", TYPE_CHOICE, .preset = "enforce", .at = R(dedup.mode),
     .choices = dedup_modes, .doc = "Whether duplicates are stopped or only counted."},
    {"routes[].dedup.identity", TYPE_CHOICE, .preset = "sequence", .at = R(dedup.rule.kind),
     .choices = identities, .doc = "What identifies a record."},
    {"routes[].dedup.key", TYPE_FIELD, .preset = "kafka-key", .at = R(dedup.rule.key),
     .doc =
         "Whose order and count it is: kafka-key, header:NAME, or json:/pointer into the value."},
    {"routes[].dedup.scope", TYPE_CHOICE, .preset = "topic", .at = R(dedup.scope),
     .choices = scopes, .doc = "Whether topics of the route share their keys."},
    {"routes[].dedup.from", TYPE_FIELD, .preset = "header:seq", .at = R(dedup.rule.number),
     .doc = "Where the sequence, version or event id stands: header:NAME, json:/pointer, or "
            "timestamp (version only). identity: event-id needs it given."},
    {"routes[].dedup.format", TYPE_SWITCH, .preset = "integer", .at = R(dedup.rule.rfc3339),
     .choices = number_formats, .doc = "How it is written."},
    {"routes[].dedup.epoch", TYPE_FIELD, .at = R(dedup.rule.epoch), .unset = "always epoch 0",
     .example = "header:seq-epoch",
     .doc =
         "A number that grows when a producer begins to count anew: header:NAME or json:/pointer."},
    {"routes[].dedup.ttl", TYPE_DURATION, .preset = "30d", .at = R(dedup.ttl_ms), .min = MIN,
     .max = 3650 * DAY,
     .doc = "How long a key is remembered after its last record. A duplicate that comes later is "
            "not seen."},
    {"routes[].dedup.rebuild_from", TYPE_CHOICE, .preset = "none", .at = R(dedup.rebuild_from),
     .choices = rebuild_sources,
     .doc = "From what the ledger is told again what it knew, where Redis lost its data. topic "
            "needs ordering: key and identity: sequence or version; `oncegate topics apply` makes "
            "the topics."},
    {"routes[].dedup.marks_topic", TYPE_TEXT, .preset = "\"marks.{group}.{topic}\"",
     .at = R(dedup.marks_topic), .check = check_dlq_template,
     .doc = "The names of the topics of rebuild_from: topic, one for each source topic."},
    {"routes[].dedup.on_missing", TYPE_CHOICE, .preset = "dead-letter", .at = R(dedup.on_missing),
     .choices = missing_policies, .doc = "A record whose identity is absent or unreadable."},
    {"routes[].dedup.on_indeterminate", TYPE_CHOICE, .preset = "deliver",
     .at = R(dedup.on_indeterminate), .choices = indeterminate_policies,
     .doc = "A record of which the ledger cannot know whether it was delivered."},
    {"routes[].dedup.on_superseded", TYPE_CHOICE, .preset = "drop", .at = R(dedup.on_superseded),
     .choices = superseded_policies,
     .doc = "identity: version: a record at or below the highest version that is done."},
    {"routes[].dedup.on_duplicate", TYPE_CHOICE, .preset = "settle", .at = R(dedup.on_duplicate),
     .choices = duplicate_policies, .doc = "A proven duplicate."},
    {"routes[].dedup.on_redis_down", TYPE_CHOICE, .preset = "wait", .at = R(dedup.on_redis_down),
     .choices = redis_down_policies, .doc = "While Redis is away or refuses."},

    {"routes[].handler", TYPE_SECTION, .required = true, .doc = "The app's HTTP handler."},
    {"routes[].handler.url", TYPE_TEXT, .at = R(handler.url), .check = check_url, .required = true,
     .example = "http://127.0.0.1:9000/orders",
     .doc = "Where records are POSTed: http:// or https://."},
    {"routes[].handler.socket", TYPE_TEXT, .at = R(handler.socket), .check = check_path,
     .unset = "TCP", .example = "/run/orders.sock",
     .doc = "A unix socket to connect to; url then gives Host and path only."},
    {"routes[].handler.timeout", TYPE_DURATION, .preset = "15s", .at = R(handler.timeout_ms),
     .min = 10 * MS, .max = HR, .doc = "The total time of a delivery, connect included."},
    {"routes[].handler.connect_timeout", TYPE_DURATION, .preset = "2s",
     .at = R(handler.connect_timeout_ms), .min = 5 * MS, .max = 10 * MIN,
     .doc = "Of which to connect, TLS included."},
    {"routes[].handler.idle_timeout", TYPE_DURATION, .preset = "4s",
     .at = R(handler.idle_timeout_ms), .min = 100 * MS, .max = HR,
     .doc = "How long an unused connection is kept; below the server's own, which is often 5 s."},
    {"routes[].handler.max_in_flight", TYPE_COUNT, .preset = "32", .at = R(handler.max_in_flight),
     .min = 1, .max = 10000,
     .doc =
         "Open requests per route and process, with records that are delivered and whose end Redis "
         "has not recorded yet: what a kill can have happen twice. With batches times "
         "batch.max_records."},
    {"routes[].handler.max_response", TYPE_SIZE, .preset = "64KiB",
     .at = R(handler.max_response_bytes), .min = KIB, .max = 64 * MIB,
     .doc = "How much of an answer is read. The status decides; what is beyond is discarded and "
            "the connection closed."},
    {"routes[].handler.forward_headers", TYPE_TEXTS, .preset = "[]",
     .at = R(handler.forward_headers), .count_at = R(handler.forward_header_count), .max = 100,
     .check = check_record_header,
     .doc = "Record headers that are passed on, as Kafka-Header-<name>."},
    {"routes[].handler.request_headers", TYPE_HEADERS, .preset = "{}",
     .at = R(handler.request_headers), .count_at = R(handler.request_header_count),
     .doc = "Headers of every request: name: text, or name: {file: /path} for a secret."},
    {"routes[].handler.tls", TYPE_SECTION,
     .doc = "TLS of https:// handlers; the server's certificate is always verified."},
    {"routes[].handler.tls.ca_file", TYPE_TEXT, .at = R(handler.tls.ca_file), .check = check_path,
     .unset = "the system's", .doc = "The authorities that are trusted, PEM."},
    {"routes[].handler.tls.cert_file", TYPE_TEXT, .at = R(handler.tls.cert_file),
     .check = check_path, .unset = "none", .doc = "The client's certificate, PEM; needs key_file."},
    {"routes[].handler.tls.key_file", TYPE_TEXT, .at = R(handler.tls.key_file), .check = check_path,
     .unset = "none", .doc = "The key of cert_file, PEM."},
    {"routes[].handler.tls.server_name", TYPE_TEXT, .at = R(handler.tls.server_name),
     .check = check_host, .unset = "the URL's host",
     .doc = "The name that the server's certificate must carry."},
    {"routes[].handler.hide_key", TYPE_BOOL, .preset = "false", .at = R(handler.hide_key),
     .doc = "Write keys as sha256:<hex> in request headers. Keys above 128 bytes always are."},
    {"routes[].handler.idempotency_key", TYPE_SWITCH, .preset = "quoted",
     .at = R(handler.idempotency_key_bare), .choices = key_styles,
     .doc = "How the Idempotency-Key header is written."},
    {"routes[].handler.sign_secret_files", TYPE_TEXTS, .preset = "[]",
     .at = R(handler.sign_secret_files), .count_at = R(handler.sign_secret_file_count), .max = 5,
     .check = check_path,
     .doc = "Secrets to sign requests with by Standard Webhooks; several while rotating."},
    {"routes[].handler.batch", TYPE_SECTION, .doc = "Many records in one request."},
    {"routes[].handler.batch.max_records", TYPE_COUNT, .preset = "1",
     .at = R(handler.batch_max_records), .min = 1, .max = 1000,
     .doc =
         "How many at most; 1: one request for each record. Above 1 a request is a JSON array of "
         "CloudEvents, and its answer names what became of each."},
    {"routes[].handler.batch.max_bytes", TYPE_SIZE, .preset = "1MiB",
     .at = R(handler.batch_max_bytes), .min = KIB, .max = 64 * MIB,
     .doc = "How large such an array becomes. A record that is larger goes alone."},

    {"routes[].classify", TYPE_ITEMS, .preset = DEFAULT_RULES, .at = R(classify),
     .count_at = R(classify_count), .item_size = sizeof(struct classify_rule), .min = 1, .max = 100,
     .doc = "From an answer to an outcome; the first rule that matches wins. Rules given here "
            "replace the whole default table. What no rule matches is a retry."},
    {"routes[].classify[].status", TYPE_STATUSES, .at = K(statuses), .unset = "no status",
     .example = "[2xx, 304]", .doc = "2xx, 503, or a list of such. A rule has status or error."},
    {"routes[].classify[].error", TYPE_ERRORS, .at = K(errors), .unset = "no error",
     .example = "[connect, dns]",
     .doc = "Why there is no whole answer: connect, dns, tls, timeout, reset, protocol, a list of "
            "such, or any."},
    {"routes[].classify[].outcome", TYPE_CHOICE, .at = K(outcome), .choices = outcomes,
     .required = true, .example = "retry", .doc = "What becomes of the record."},
    {"routes[].classify[].breaker", TYPE_BOOL, .preset = "false", .at = K(breaker),
     .doc = "Whether it counts as a failure of the handler as a whole."},

    {"routes[].retry", TYPE_SECTION, .doc = "How a failed record is tried again."},
    {"routes[].retry.inline", TYPE_SECTION,
     .doc = "At once, in memory, with full jitter, on the first visit only; never after a timeout, "
            "whose effect is unknown."},
    {"routes[].retry.inline.max_retries", TYPE_COUNT, .preset = "2",
     .at = R(retry.inline_max_retries), .min = 0, .max = 20, .doc = "How often; 0: never."},
    {"routes[].retry.inline.initial", TYPE_DURATION, .preset = "200ms",
     .at = R(retry.inline_initial_ms), .min = MS, .max = MIN, .doc = "The first wait, at most."},
    {"routes[].retry.inline.multiplier", TYPE_NUMBER, .preset = "2",
     .at = R(retry.inline_multiplier), .min = 1, .max = 10,
     .doc = "By how much each wait is longer than the one before."},
    {"routes[].retry.inline.max", TYPE_DURATION, .preset = "2s", .at = R(retry.inline_max_ms),
     .min = MS, .max = MIN, .doc = "The longest wait."},
    {"routes[].retry.tiers", TYPE_DURATIONS, .preset = "[10s, 1m, 10m]", .at = R(retry.tiers_ms),
     .count_at = R(retry.tier_count), .min = 100 * MS, .max = 30 * DAY,
     .doc = "One retry topic for each delay, growing strictly; the last repeats until "
            "give_up_after. Not used with ordering: partition. []: no retry topics, a record that "
            "still fails is a dead letter."},
    {"routes[].retry.give_up_after", TYPE_DURATION, .preset = "24h",
     .at = R(retry.give_up_after_ms), .min = SEC, .max = 365 * DAY,
     .doc = "How long after its first failure a record becomes a dead letter. Time with an open "
            "breaker or a paused route does not count."},
    {"routes[].retry.retry_after_max", TYPE_DURATION, .preset = "10m",
     .at = R(retry.retry_after_max_ms), .min = SEC, .max = 7 * DAY,
     .doc = "The longest Retry-After that is honoured; a longer one is cut to this."},
    {"routes[].retry.topic", TYPE_TEXT, .preset = "\"retry.{group}.{topic}.{delay}\"",
     .at = R(retry.topic), .check = check_retry_template,
     .doc = "The names of retry topics. The redrive topic has redrive for its delay."},

    {"routes[].dead_letter", TYPE_SECTION, .doc = "Where a record goes that is given up."},
    {"routes[].dead_letter.topic", TYPE_TEXT, .preset = "\"dlq.{group}.{topic}\"",
     .at = R(dead_letter.topic), .check = check_dlq_template,
     .doc = "The names of dead-letter topics."},
    {"routes[].dead_letter.detail", TYPE_SIZE, .preset = "4KiB", .at = R(dead_letter.detail_bytes),
     .min = 0, .max = 4 * KIB,
     .doc = "How much of the error's detail is kept in a header; 0: none."},
    {"routes[].dead_letter.on_key", TYPE_CHOICE, .preset = "continue", .at = R(dead_letter.on_key),
     .choices = on_key_policies, .doc = "What a dead letter means for the records behind it."},
    {"routes[].dead_letter.on_write_failure", TYPE_CHOICE,
     .unset = "spool where spool.dir is set, else block", .at = R(dead_letter.on_write_failure),
     .choices = write_failure_policies,
     .doc = "Where the dead-letter topic cannot be written. Nothing is lost because a dead letter "
            "could not be written."},
    {"routes[].dead_letter.pause_above", TYPE_SECTION,
     .doc = "A flood of dead letters pauses the route, whatever its cause."},
    {"routes[].dead_letter.pause_above.share", TYPE_SHARE, .preset = "50%",
     .at = R(dead_letter.pause_share), .min = 1, .max = 100,
     .doc = "The share of the window's records that is too much; 100%: all of them."},
    {"routes[].dead_letter.pause_above.records", TYPE_COUNT, .preset = "100",
     .at = R(dead_letter.pause_records), .min = 1, .max = 1000000,
     .doc = "How many dead letters there must be in the window."},
    {"routes[].dead_letter.pause_above.window", TYPE_DURATION, .preset = "1m",
     .at = R(dead_letter.pause_window_ms), .min = SEC, .max = DAY, .doc = "The window."},

    {"routes[].breaker", TYPE_SECTION,
     .doc = "An outage of the handler is no fault of its records."},
    {"routes[].breaker.failures", TYPE_COUNT, .preset = "20", .at = R(breaker.failures), .min = 1,
     .max = 100000, .doc = "So many failures in a row open it ..."},
    {"routes[].breaker.distinct_keys", TYPE_COUNT, .preset = "5", .at = R(breaker.distinct_keys),
     .min = 1, .max = 1000,
     .doc = "... if they are of at least so many keys: fewer are poison, not an outage."},
    {"routes[].breaker.probe_every", TYPE_DURATION, .preset = "5s", .at = R(breaker.probe_every_ms),
     .min = 100 * MS, .max = HR,
     .doc = "How often an open breaker lets one record through; one success closes it."},

    {"routes[].parked", TYPE_SECTION, .doc = "Records that wait in the tiers."},
    {"routes[].parked.per_key", TYPE_COUNT, .preset = "10000", .at = R(parked.per_key), .min = 1,
     .max = 1000000, .doc = "How many of one key."},
    {"routes[].parked.on_full", TYPE_CHOICE, .preset = "pause", .at = R(parked.on_full),
     .choices = parked_full_policies, .doc = "What becomes of the next one."},
    {"routes[].parked.ghost_ttl", TYPE_DURATION_AUTO, .preset = "auto",
     .at = R(parked.ghost_ttl_ms), .min = MIN, .max = 365 * DAY,
     .doc = "After what time an entry whose copy is nowhere to be found is given up; longer than "
            "the longest tier and the worst lag. auto: twice the longest tier and an hour."},

    {"routes[].limits", TYPE_SECTION, .doc = "What of a route is in memory at once."},
    {"routes[].limits.records", TYPE_COUNT, .preset = "10000", .at = R(limits.records), .min = 1,
     .max = 10000000, .doc = "Records."},
    {"routes[].limits.bytes", TYPE_SIZE, .preset = "64MiB", .at = R(limits.bytes), .min = MIB,
     .max = 1024 * GIB, .doc = "Bytes of keys, values and headers."},
    {"routes[].limits.rate", TYPE_COUNT, .at = R(limits.rate_per_s), .min = 1, .max = 10000000,
     .later = LATER_KEY, .unset = "none", .doc = "Deliveries per second, at most."},
    {"routes[].shutdown", TYPE_SECTION, .doc = "At the end of the process."},
    {"routes[].shutdown.drain", TYPE_DURATION, .preset = "20s", .at = R(shutdown_drain_ms),
     .min = 0, .max = HR, .doc = "How long open deliveries are waited for."},
    {"routes[].rebalance", TYPE_SECTION, .doc = "When a partition is taken away."},
    {"routes[].rebalance.drain", TYPE_DURATION, .preset = "3s", .at = R(rebalance_drain_ms),
     .min = 0, .max = 10 * MIN, .doc = "How long its open deliveries are waited for."},
    {"routes[].stuck_after", TYPE_DURATION, .preset = "1m", .at = R(stuck_after_ms), .min = SEC,
     .max = DAY,
     .doc =
         "A partition or record that makes no progress for so long, while the route delivers, is "
         "named in /status, the log and stuck_partitions or stuck_keys. Above what a delivery "
         "may take."},
    {0},
};
