/*
 * Dead letters of any writer; see dead_letter.h. One table says of every header who writes it, how,
 * and where it goes; reading walks the record's headers once.
 *
 * Invariants: of repeats the last one counts, as record_find_header has it; a header of one writer
 * is never taken for another's; nothing here can fail, whatever the record holds. The writer is the
 * one whose headers stand last: who gives a record up appends to what it found there.
 */
#include "record/dead_letter.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

enum type {
    TYPE_NAME,     /* slice of UTF-8, else unreadable */
    TYPE_BYTES,    /* slice, whatever it holds */
    TYPE_COUNT,    /* uint32_t, decimal */
    TYPE_I32,      /* decimal */
    TYPE_I64,      /* decimal */
    TYPE_U64,      /* decimal */
    TYPE_BE32,     /* int32_t, four bytes, the highest first */
    TYPE_BE64,     /* int64_t, eight bytes */
    TYPE_BE_COUNT, /* uint32_t, one to four bytes */
    TYPE_NOTHING,  /* it only tells the writer */
};

/* What takes more than one header to understand. */
struct parts {
    struct dead_letter *letter;
    struct slice signature;
    struct slice thrown;  /* class and message in one, or the class alone */
    struct slice message; /* stands in where there is no detail */
    struct slice cause;   /* class of the exception's cause */
    struct slice trace;   /* the stack trace */
};

enum place { IN_LETTER, IN_PARTS };

struct field {
    enum letter_writer writer;
    struct slice name;
    enum type type;
    bool always; /* its writer never leaves it out */
    enum place place;
    size_t offset;
    size_t flag; /* offset of a bool in the letter that says it is there; 0: none */
};

#define FIELD(writer, name, type, member, always)                                                  \
    {                                                                                              \
        writer, SLICE_INIT(name), type, always, IN_LETTER, offsetof(struct dead_letter, member), 0 \
    }
#define FLAGGED(writer, name, type, member, flag)                                                  \
    {                                                                                              \
        writer, SLICE_INIT(name), type, false, IN_LETTER, offsetof(struct dead_letter, member),    \
            offsetof(struct dead_letter, flag)                                                     \
    }
#define PART(writer, name, type, member)                                                           \
    {                                                                                              \
        writer, SLICE_INIT(name), type, false, IN_PARTS, offsetof(struct parts, member), 0         \
    }
#define NOTED(writer, name)                                                                        \
    {                                                                                              \
        writer, SLICE_INIT(name), TYPE_NOTHING, false, IN_PARTS, 0, 0                              \
    }
#define OWN(name)     HEADERS_PREFIX name
#define SHARE(name)   "__dlq.errors." name
#define STREAMS(name) "__streams.errors." name
#define CONNECT(name) "__connect.errors." name

/* Spring writes the same under two prefixes, "kafka_dlt-" and (in retry topics) "kafka_". */
#define SPRING_PREFIX     "kafka_"
#define SPRING_DLT_PREFIX "kafka_dlt-"
#define SPRING(name)      SPRING_DLT_PREFIX name
#define SPRING_ATTEMPTS   "retry_topic-attempts"

static const struct field fields[] = {
    FIELD(LETTER_OWN, OWN("group"), TYPE_NAME, group, true),
    FIELD(LETTER_OWN, OWN("route"), TYPE_NAME, route, false),
    FIELD(LETTER_OWN, OWN("origin-topic"), TYPE_NAME, origin.topic, true),
    FIELD(LETTER_OWN, OWN("origin-partition"), TYPE_I32, origin.partition, true),
    FIELD(LETTER_OWN, OWN("origin-offset"), TYPE_I64, origin.offset, true),
    FIELD(LETTER_OWN, OWN("origin-leader-epoch"), TYPE_I32, origin.leader_epoch, false),
    FIELD(LETTER_OWN, OWN("origin-incarnation"), TYPE_COUNT, origin.incarnation, false),
    FIELD(LETTER_OWN, OWN("origin-timestamp"), TYPE_I64, origin.timestamp_ms, false),
    FIELD(LETTER_OWN, OWN("attempt"), TYPE_COUNT, attempts, true),
    FIELD(LETTER_OWN, OWN("first-failed-at"), TYPE_I64, first_failed_at_ms, false),
    FIELD(LETTER_OWN, OWN("last-failed-at"), TYPE_I64, last_failed_at_ms, false),
    FIELD(LETTER_OWN, OWN("error-code"), TYPE_NAME, code, false),
    FIELD(LETTER_OWN, OWN("error-detail"), TYPE_BYTES, detail, false),
    FIELD(LETTER_OWN, OWN("http-status"), TYPE_I32, http_status, false),
    PART(LETTER_OWN, OWN("signature"), TYPE_NAME, signature),
    FLAGGED(LETTER_OWN, OWN("epoch"), TYPE_U64, epoch, has_epoch),
    FLAGGED(LETTER_OWN, OWN("sequence"), TYPE_U64, number, has_number),
    FIELD(LETTER_OWN, OWN("redrive-id"), TYPE_NAME, redrive_id, false),
    FIELD(LETTER_OWN, OWN("redrive-count"), TYPE_COUNT, redrive_count, false),
    FIELD(LETTER_OWN, OWN("first-letter"), TYPE_NAME, first_letter, false),

    FIELD(LETTER_SHARE_GROUP, SHARE("topic"), TYPE_NAME, origin.topic, true),
    FIELD(LETTER_SHARE_GROUP, SHARE("partition"), TYPE_I32, origin.partition, true),
    FIELD(LETTER_SHARE_GROUP, SHARE("offset"), TYPE_I64, origin.offset, true),
    FIELD(LETTER_SHARE_GROUP, SHARE("group"), TYPE_NAME, group, true),
    FIELD(LETTER_SHARE_GROUP, SHARE("delivery.count"), TYPE_COUNT, attempts, false),
    FIELD(LETTER_SHARE_GROUP, SHARE("message"), TYPE_BYTES, detail, false),

    FIELD(LETTER_STREAMS, STREAMS("topic"), TYPE_NAME, origin.topic, true),
    FIELD(LETTER_STREAMS, STREAMS("partition"), TYPE_I32, origin.partition, true),
    FIELD(LETTER_STREAMS, STREAMS("offset"), TYPE_I64, origin.offset, true),
    PART(LETTER_STREAMS, STREAMS("exception"), TYPE_BYTES, thrown),
    FIELD(LETTER_STREAMS, STREAMS("message"), TYPE_BYTES, detail, false),
    NOTED(LETTER_STREAMS, STREAMS("stacktrace")),

    FIELD(LETTER_SPRING, SPRING("original-topic"), TYPE_NAME, origin.topic, true),
    FIELD(LETTER_SPRING, SPRING("original-partition"), TYPE_BE32, origin.partition, true),
    FIELD(LETTER_SPRING, SPRING("original-offset"), TYPE_BE64, origin.offset, true),
    FIELD(LETTER_SPRING, SPRING("original-timestamp"), TYPE_BE64, origin.timestamp_ms, false),
    NOTED(LETTER_SPRING, SPRING("original-timestamp-type")),
    FIELD(LETTER_SPRING, SPRING("original-consumer-group"), TYPE_NAME, group, false),
    FIELD(LETTER_SPRING, SPRING("exception-fqcn"), TYPE_NAME, code, false),
    PART(LETTER_SPRING, SPRING("exception-cause-fqcn"), TYPE_NAME, cause),
    FIELD(LETTER_SPRING, SPRING("exception-message"), TYPE_BYTES, detail, false),
    PART(LETTER_SPRING, SPRING("exception-stacktrace"), TYPE_BYTES, trace),
    /* The key could not be read: these stand in place of the ones above, or beside them. */
    PART(LETTER_SPRING, SPRING("key-exception-fqcn"), TYPE_NAME, thrown),
    PART(LETTER_SPRING, SPRING("key-exception-message"), TYPE_BYTES, message),
    NOTED(LETTER_SPRING, SPRING("key-exception-stacktrace")),
    FIELD(LETTER_SPRING, SPRING_ATTEMPTS, TYPE_BE_COUNT, attempts, false),

    FIELD(LETTER_CONNECT, CONNECT("topic"), TYPE_NAME, origin.topic, true),
    FIELD(LETTER_CONNECT, CONNECT("partition"), TYPE_I32, origin.partition, true),
    FIELD(LETTER_CONNECT, CONNECT("offset"), TYPE_I64, origin.offset, true),
    FIELD(LETTER_CONNECT, CONNECT("connector.name"), TYPE_NAME, group, true),
    NOTED(LETTER_CONNECT, CONNECT("task.id")),
    NOTED(LETTER_CONNECT, CONNECT("stage")),
    NOTED(LETTER_CONNECT, CONNECT("class.name")),
    FIELD(LETTER_CONNECT, CONNECT("exception.class.name"), TYPE_NAME, code, false),
    FIELD(LETTER_CONNECT, CONNECT("exception.message"), TYPE_BYTES, detail, false),
    NOTED(LETTER_CONNECT, CONNECT("exception.stacktrace")),
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static bool is_of_spring(const struct field *field, struct slice name)
{
    static const struct slice dlt = SLICE_INIT(SPRING_DLT_PREFIX);
    static const struct slice plain = SLICE_INIT(SPRING_PREFIX);
    struct slice rest, have;

    if (!slice_starts_with(name, plain) || !slice_starts_with(field->name, dlt))
        return false;
    rest = (struct slice){field->name.data + dlt.len, field->name.len - dlt.len};
    have = (struct slice){name.data + plain.len, name.len - plain.len};
    return slice_equal(rest, have);
}

static int find_field(struct slice name)
{
    for (int i = 0; i < FIELDS; i++) {
        if (slice_equal(fields[i].name, name) ||
            (fields[i].writer == LETTER_SPRING && is_of_spring(&fields[i], name)))
            return i;
    }
    return -1;
}

/* Our own headers bring KIP-1191's along, behind them. */
static enum letter_writer writer_of(const struct record *rec)
{
    enum letter_writer writer = LETTER_PLAIN;
    bool share = false;

    for (size_t i = rec->header_count; i > 0; i--) {
        int at = find_field(rec->headers[i - 1].name);

        if (at < 0)
            continue;
        writer = fields[at].writer;
        if (writer == LETTER_OWN || (!share && writer != LETTER_SHARE_GROUP))
            return writer;
        if (writer == LETTER_SHARE_GROUP)
            share = true;
    }
    return share ? LETTER_SHARE_GROUP : writer;
}

static bool big_endian(struct slice value, size_t least, size_t most, uint64_t *out)
{
    if (slice_is_null(value) || value.len < least || value.len > most)
        return false;
    *out = 0;
    for (size_t i = 0; i < value.len; i++)
        *out = *out << 8 | (unsigned char)value.data[i];
    return true;
}

static bool decimal(struct slice value, int64_t least, int64_t most, int64_t *out)
{
    int64_t n;

    if (slice_is_null(value) || !str_to_i64(value, &n) || n < least || n > most)
        return false;
    *out = n;
    return true;
}

static bool read_binary(enum type type, struct slice value, void *to)
{
    uint64_t n;

    if (type == TYPE_BE_COUNT) {
        if (!big_endian(value, 1, 4, &n))
            return false;
        *(uint32_t *)to = (uint32_t)n;
        return true;
    }
    if (type == TYPE_BE32) {
        /* Nothing below -1 means anything: not a partition, an offset or a time. */
        if (!big_endian(value, 4, 4, &n) || (n > INT32_MAX && n != UINT32_MAX))
            return false;
        *(int32_t *)to = n == UINT32_MAX ? -1 : (int32_t)n;
        return true;
    }
    if (!big_endian(value, 8, 8, &n) || (n > INT64_MAX && n != UINT64_MAX))
        return false;
    *(int64_t *)to = n == UINT64_MAX ? -1 : (int64_t)n;
    return true;
}

static bool read_value(enum type type, struct slice value, void *to)
{
    int64_t n;
    uint64_t u;

    switch (type) {
    case TYPE_NOTHING:
        return true;
    case TYPE_NAME:
        if (slice_is_null(value) || !str_is_utf8(value))
            return false;
        *(struct slice *)to = value;
        return true;
    case TYPE_BYTES: /* an exception may have no message */
        *(struct slice *)to = value;
        return true;
    case TYPE_COUNT:
        if (!decimal(value, 0, UINT32_MAX, &n))
            return false;
        *(uint32_t *)to = (uint32_t)n;
        return true;
    case TYPE_I32:
        if (!decimal(value, -1, INT32_MAX, &n))
            return false;
        *(int32_t *)to = (int32_t)n;
        return true;
    case TYPE_I64:
        return decimal(value, -1, INT64_MAX, to);
    case TYPE_U64:
        if (slice_is_null(value) || !str_to_u64(value, &u))
            return false;
        *(uint64_t *)to = u;
        return true;
    case TYPE_BE32:
    case TYPE_BE64:
    case TYPE_BE_COUNT:
        return read_binary(type, value, to);
    }
    return false;
}

/* False: it is unreadable. */
static bool read_field(struct parts *parts, const struct field *field, struct slice value)
{
    char *letter = (char *)parts->letter;
    char *to = field->place == IN_LETTER ? letter : (char *)parts;

    if (!read_value(field->type, value, to + field->offset))
        return false;
    if (field->flag)
        *(bool *)(letter + field->flag) = true;
    return true;
}

static void read_fields(const struct record *rec, struct parts *parts)
{
    struct dead_letter *letter = parts->letter;
    bool seen[FIELDS] = {false};

    for (size_t i = rec->header_count; i > 0; i--) {
        int at = find_field(rec->headers[i - 1].name);

        if (at < 0 || seen[at] || fields[at].writer != letter->writer)
            continue;
        seen[at] = true;
        if (!read_field(parts, &fields[at], rec->headers[i - 1].value))
            letter->unread = fields[at].name.data;
    }
    for (int i = 0; i < FIELDS && letter->unread == NULL; i++) {
        if (fields[i].writer == letter->writer && fields[i].always && !seen[i])
            letter->unread = fields[i].name.data;
    }
}

/* SIZE_MAX: it is not there. */
static size_t find(struct slice text, const char *what, size_t from)
{
    size_t len = strlen(what);
    const char *at;

    if (text.data == NULL || from > text.len)
        return SIZE_MAX;
    at = memmem(text.data + from, text.len - from, what, len);
    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

/* What "Caused by: <class>: " says in a Java stack trace, up to its frames; null: it is not there.
 */
static struct slice cause_message(struct slice trace, struct slice class)
{
    static const char caused_by[] = "Caused by: ";
    size_t at = find(trace, caused_by, 0);

    for (; at != SIZE_MAX; at = find(trace, caused_by, at)) {
        struct slice rest, message;
        size_t end;

        at += sizeof(caused_by) - 1;
        rest = (struct slice){trace.data + at, trace.len - at};
        if (!slice_starts_with(rest, class) || rest.len < class.len + 2 ||
            memcmp(rest.data + class.len, ": ", 2) != 0)
            continue;
        message = (struct slice){rest.data + class.len + 2, rest.len - class.len - 2};
        end = find(message, "\n\tat ", 0);
        end = end == SIZE_MAX ? find(message, "\n", 0) : end;
        message.len = end == SIZE_MAX ? message.len : end;
        while (message.len > 0 && message.data[message.len - 1] == '\r')
            message.len--;
        return message;
    }
    return SLICE_NULL;
}

/* Spring wraps what a listener throws in an exception of its own, which says only that. */
static void unwrap_spring(struct parts *parts)
{
    struct dead_letter *letter = parts->letter;
    struct slice message;

    if (slice_is_null(letter->code)) {
        letter->code = parts->thrown;
        if (slice_is_null(letter->detail))
            letter->detail = parts->message;
    }
    if (slice_is_null(parts->cause) ||
        !slice_starts_with(letter->code, SLICE_LIT("org.springframework.kafka.")))
        return;
    letter->code = parts->cause;
    message = cause_message(parts->trace, parts->cause);
    if (!slice_is_null(message))
        letter->detail = message;
}

/* "class: message", or the class alone. */
static void split_thrown(struct parts *parts)
{
    struct slice thrown = parts->thrown;
    size_t colon = find(thrown, ": ", 0);

    if (colon != SIZE_MAX)
        thrown.len = colon;
    if (thrown.len > 0 && str_is_utf8(thrown))
        parts->letter->code = thrown;
    else if (!slice_is_null(thrown) && parts->letter->unread == NULL)
        parts->letter->unread = STREAMS("exception");
}

static bool is_signature(struct slice text)
{
    if (text.len != HEADERS_SIGNATURE_MAX - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("0123456789abcdef", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    }
    return true;
}

static void sign(const struct record *rec, struct parts *parts)
{
    struct dead_letter *letter = parts->letter;
    struct slice whose = letter->writer == LETTER_OWN ? letter->route : letter->group;

    if (is_signature(parts->signature)) {
        (void)str_copy(letter->signature, sizeof(letter->signature), parts->signature);
        return;
    }
    if (!slice_is_null(parts->signature) && letter->unread == NULL)
        letter->unread = OWN("signature");
    if (slice_is_null(whose))
        whose = rec->topic;
    headers_signature(whose, letter->code, letter->detail, letter->signature);
}

void dead_letter_read(const struct record *rec, struct dead_letter *out)
{
    struct parts parts = {.letter = out};

    *out = (struct dead_letter){
        .writer = writer_of(rec),
        .origin = {.partition = -1, .leader_epoch = -1, .offset = -1, .timestamp_ms = -1}};
    read_fields(rec, &parts);
    if (out->writer == LETTER_SPRING)
        unwrap_spring(&parts);
    else if (out->writer == LETTER_STREAMS)
        split_thrown(&parts);
    if (out->first_failed_at_ms < 0)
        out->first_failed_at_ms = 0;
    if (out->last_failed_at_ms < 0)
        out->last_failed_at_ms = 0;
    if (out->http_status < 0)
        out->http_status = 0;
    sign(rec, &parts);
}

const char *letter_writer_name(enum letter_writer writer)
{
    static const char *const names[] = {
        [LETTER_OWN] = "oncegate",  [LETTER_STREAMS] = "streams",
        [LETTER_SPRING] = "spring", [LETTER_CONNECT] = "connect",
        [LETTER_PLAIN] = "plain",   [LETTER_SHARE_GROUP] = "share-group",
    };
    return (size_t)writer < sizeof(names) / sizeof(names[0]) ? names[writer] : "plain";
}
