/*
 * Effective values as YAML that the program itself reads back. Driven by the table; secrets are
 * never written. What is not in this version is left out, since reading it back would be refused.
 */
#include <string.h>

#include "base/str.h"
#include "config/classify_rules.h"
#include "config/load.h"
#include "config/yaml_text.h"

#define MASK "\"***\""

struct show {
    struct buf *out;
    unsigned indent;
    bool dash; /* the next key is the first of a list's entry */
};

static void begin_line(struct show *show)
{
    unsigned blanks = show->indent;

    if (show->dash) {
        buf_printf(show->out, "%*s- ", (int)(blanks - 2), "");
        show->dash = false;
        return;
    }
    buf_printf(show->out, "%*s", (int)blanks, "");
}

static void begin_key(struct show *show, const char *name)
{
    begin_line(show);
    yaml_add_text(show->out, name);
    buf_add_text(show->out, ":");
}

static void add_duration(struct buf *out, int64_t ms)
{
    char text[STR_DURATION_MAX];

    str_from_duration_ms(ms, text);
    buf_add_text(out, text);
}

static void add_optional(struct buf *out, const char *text)
{
    if (text)
        yaml_add_text(out, text);
    else
        buf_add_char(out, '~');
}

static void add_texts(struct buf *out, char *const *texts, size_t count)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_text(out, i ? ", " : "");
        yaml_add_text(out, texts[i]);
    }
    buf_add_char(out, ']');
}

static void add_durations(struct buf *out, const int64_t *durations, size_t count)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_text(out, i ? ", " : "");
        add_duration(out, durations[i]);
    }
    buf_add_char(out, ']');
}

static void add_field(struct buf *out, const struct field_source *field)
{
    static const char *const prefixes[] = {
        [FIELD_NONE] = "~",     [FIELD_KAFKA_KEY] = "kafka-key", [FIELD_HEADER] = "header:",
        [FIELD_JSON] = "json:", [FIELD_TIMESTAMP] = "timestamp",
    };
    struct buf text = {0};

    if (field->from == FIELD_NONE) {
        buf_add_char(out, '~');
        return;
    }
    buf_add_text(&text, prefixes[field->from]);
    if (field->name)
        buf_add_text(&text, field->name);
    yaml_add_text(out, text.data);
    buf_deinit(&text);
}

static void add_place(struct buf *out, const char *host, uint16_t port)
{
    bool six = strchr(host, ':') != NULL;
    buf_printf(out, "%s%s%s:%u", six ? "[" : "", host, six ? "]" : "", (unsigned)port);
}

static void add_redis_url(struct buf *out, const struct redis_config *redis)
{
    static const char *const kinds[] = {
        [REDIS_ALONE] = "", [REDIS_SENTINEL] = "+sentinel", [REDIS_CLUSTER] = "+cluster"};
    struct buf url = {0};

    if (redis->unix_path) {
        buf_add_text(&url, "unix://");
        buf_add_percent(&url, slice_of(redis->unix_path), "/");
    } else {
        buf_printf(&url, "redis%s%s://", redis->tls_on ? "s" : "", kinds[redis->kind]);
        if (redis->kind == REDIS_ALONE)
            add_place(&url, redis->host, redis->port);
        for (size_t i = 0; i < redis->place_count; i++) {
            buf_add_text(&url, i ? "," : "");
            add_place(&url, redis->places[i].host, redis->places[i].port);
        }
    }
    if (redis->master)
        buf_printf(&url, "/%s", redis->master);
    if (redis->unix_path || redis->master)
        buf_printf(&url, "?db=%d", redis->db);
    else if (redis->kind == REDIS_ALONE)
        buf_printf(&url, "/%d", redis->db);
    yaml_add_text(out, url.data);
    buf_deinit(&url);
}

static void add_listen(struct buf *out, const struct listen_config *listen)
{
    bool six = strchr(listen->host, ':') != NULL;
    struct buf text = {0};

    buf_printf(&text, "%s%s%s:%u", six ? "[" : "", listen->host, six ? "]" : "",
               (unsigned)listen->port);
    yaml_add_text(out, text.data);
    buf_deinit(&text);
}

static void show_section(struct show *show, const char *section, const void *item);

static void show_properties(struct show *show, const struct schema_key *key,
                            const struct properties *props, const void *item)
{
    if (props->count == 0 && key->unset)
        return;
    begin_key(show, schema_name(key));
    buf_add_char(show->out, '\n');
    show->indent += 2;
    for (size_t i = 0; i < props->count; i++) {
        begin_key(show, props->items[i].name);
        buf_add_char(show->out, ' ');
        if (props->items[i].secret)
            buf_add_text(show->out, MASK);
        else
            yaml_add_text(show->out, props->items[i].value);
        buf_add_char(show->out, '\n');
    }
    show_section(show, key->path, item);
    show->indent -= 2;
}

static void show_headers(struct show *show, const struct request_header *headers, size_t count)
{
    buf_add_text(show->out, count ? "\n" : " {}\n");
    show->indent += 2;
    for (size_t i = 0; i < count; i++) {
        begin_key(show, headers[i].name);
        buf_add_char(show->out, ' ');
        if (headers[i].file) {
            buf_add_text(show->out, "{file: ");
            yaml_add_text(show->out, headers[i].file);
            buf_add_char(show->out, '}');
        } else {
            buf_add_text(show->out, MASK);
        }
        buf_add_char(show->out, '\n');
    }
    show->indent -= 2;
}

static void show_items(struct show *show, const struct schema_key *key, const char *items,
                       size_t count)
{
    char section[SCHEMA_PATH_MAX];

    schema_section(key, section);
    buf_add_text(show->out, count ? "\n" : " []\n");
    show->indent += 4;
    for (size_t i = 0; i < count; i++) {
        show->dash = true;
        show_section(show, section, items + i * key->item_size);
    }
    show->indent -= 4;
}

static void add_number(const struct schema_key *key, const void *place, struct buf *out)
{
    char text[STR_SIZE_MAX];
    int choice;

    switch (key->type) {
    case TYPE_BOOL:
        buf_add_text(out, *(const bool *)place ? "true" : "false");
        break;
    case TYPE_COUNT:
        buf_add_u64(out, *(const uint32_t *)place);
        break;
    case TYPE_SIZE:
        str_from_size(*(const uint64_t *)place, text);
        buf_add_text(out, text);
        break;
    case TYPE_DURATION:
    case TYPE_DURATION_AUTO:
        add_duration(out, *(const int64_t *)place);
        break;
    case TYPE_NUMBER:
        buf_printf(out, "%.15g", *(const double *)place);
        break;
    case TYPE_SHARE:
        buf_printf(out, "%.15g%%", *(const double *)place * 100);
        break;
    case TYPE_SWITCH:
        buf_add_text(out, schema_choice_name(key->choices, *(const bool *)place));
        break;
    default:
        memcpy(&choice, place, sizeof(choice));
        buf_add_text(out, schema_choice_name(key->choices, choice));
    }
}

/* The value of one line, without the key. */
static void add_value(const struct schema_key *key, const void *item, struct buf *out)
{
    const char *place = key->at == NO_PLACE ? NULL : (const char *)item + key->at;
    const size_t *count = (const size_t *)(const void *)((const char *)item + key->count_at);

    if (!place) {
        buf_add_text(out, key->preset);
        return;
    }
    switch (key->type) {
    case TYPE_TEXT:
        add_optional(out, *(char *const *)(const void *)place);
        break;
    case TYPE_SECRET:
        buf_add_text(out, *(char *const *)(const void *)place ? MASK : "~");
        break;
    case TYPE_TEXTS:
        add_texts(out, *(char *const *const *)(const void *)place, *count);
        break;
    case TYPE_DURATIONS:
        add_durations(out, *(const int64_t *const *)(const void *)place, *count);
        break;
    case TYPE_FIELD:
        add_field(out, (const struct field_source *)(const void *)place);
        break;
    case TYPE_LISTEN:
        add_listen(out, (const struct listen_config *)(const void *)place);
        break;
    case TYPE_REDIS_URL:
        add_redis_url(out, (const struct redis_config *)(const void *)place);
        break;
    case TYPE_STATUSES:
        buf_add_char(out, '[');
        classify_add_statuses((const uint64_t *)(const void *)place, out);
        buf_add_char(out, ']');
        break;
    case TYPE_ERRORS:
        buf_add_char(out, '[');
        classify_add_errors(*(const unsigned *)(const void *)place, out);
        buf_add_char(out, ']');
        break;
    default:
        add_number(key, place, out);
    }
}

/* A section, and a key of a later release, has none. */
static const void *place_of(const struct schema_key *key, const void *item)
{
    return (const char *)item + key->at;
}

/* A rule has only one of its two sets; an empty one would not be read back. */
static bool is_empty_set(const struct schema_key *key, const void *item)
{
    static const uint64_t none[8];

    if (key->type == TYPE_STATUSES)
        return memcmp(place_of(key, item), none, sizeof(none)) == 0;
    return key->type == TYPE_ERRORS && *(const unsigned *)place_of(key, item) == 0;
}

/* Of a list; other keys have none. */
static size_t count_of(const struct schema_key *key, const void *item)
{
    return *(const size_t *)(const void *)((const char *)item + key->count_at);
}

static void show_key(struct show *show, const struct schema_key *key, const void *item)
{
    char section[SCHEMA_PATH_MAX];

    if (key->later == LATER_KEY || key->type == TYPE_SECRET_FILE)
        return;
    switch (key->type) {
    case TYPE_SECTION:
        schema_section(key, section);
        begin_key(show, schema_name(key));
        buf_add_char(show->out, '\n');
        show->indent += 2;
        show_section(show, section, item);
        show->indent -= 2;
        break;
    case TYPE_ITEMS:
        begin_key(show, schema_name(key));
        show_items(show, key, *(const char *const *)place_of(key, item), count_of(key, item));
        break;
    case TYPE_PROPERTIES:
        show_properties(show, key, place_of(key, item), item);
        break;
    case TYPE_HEADERS:
        begin_key(show, schema_name(key));
        show_headers(show, *(const struct request_header *const *)place_of(key, item),
                     count_of(key, item));
        break;
    default:
        if (is_empty_set(key, item))
            break;
        begin_key(show, schema_name(key));
        buf_add_char(show->out, ' ');
        add_value(key, item, show->out);
        buf_add_char(show->out, '\n');
    }
}

static void show_section(struct show *show, const char *section, const void *item)
{
    for (const struct schema_key *key = schema_keys; key->path; key++)
        if (schema_is_child(key, section))
            show_key(show, key, item);
}

void config_show(const struct config *config, struct buf *out)
{
    struct show show = {.out = out};

    show_section(&show, "", config);
}
