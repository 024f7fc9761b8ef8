/*
 * The table as JSON Schema (2020-12), for editors. It says no more than the parser does: what only
 * several keys together can get wrong is left to `check`.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "config/json_out.h"
#include "config/load.h"

#define VARIABLE "{\"$ref\": \"#/$defs/variable\"}"

static void add_section(struct buf *out, const char *section);

static void add_pattern(struct buf *out, const char *pattern)
{
    buf_add_text(out, "{\"type\": \"string\", \"pattern\": ");
    buf_add_json(out, slice_of(pattern));
    buf_add_text(out, "}");
}

static void add_enum(struct buf *out, const struct schema_choice *choices)
{
    bool first = true;

    buf_add_text(out, "{\"enum\": [");
    for (; choices->name; choices++) {
        if (choices->later)
            continue;
        buf_printf(out, "%s\"%s\"", first ? "" : ", ", choices->name);
        first = false;
    }
    buf_add_text(out, "]}");
}

static void add_integer(struct buf *out, const struct schema_key *key)
{
    buf_printf(out, "{\"type\": \"integer\", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64 "}",
               key->min, key->max);
}

static void add_list(struct buf *out, const struct schema_key *key, const char *entry)
{
    buf_printf(out, "{\"type\": \"array\", \"items\": %s", entry);
    if (key->type != TYPE_DURATIONS && key->min)
        buf_printf(out, ", \"minItems\": %" PRId64, key->min);
    buf_add_text(out, "}");
}

#define DURATION "^[0-9]+(ms|s|m|h|d)$"
#define STATUS                                                                                     \
    "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 100, \"maximum\": 599}, "                   \
    "{\"type\": \"string\", \"pattern\": \"^[1-5]xx$\"}]}"
#define ERROR_NAME                                                                                 \
    "{\"enum\": [\"any\", \"connect\", \"dns\", \"tls\", \"timeout\", \"reset\", \"protocol\"]}"
#define SCALAR "{\"type\": [\"string\", \"number\", \"boolean\"]}"

static void add_items(struct buf *out, const struct schema_key *key)
{
    char section[SCHEMA_PATH_MAX];

    schema_section(key, section);
    buf_printf(out, "{\"type\": \"array\", \"minItems\": %" PRId64 ", \"items\": ", key->min);
    add_section(out, section);
    buf_add_text(out, "}");
}

static void add_properties(struct buf *out, const struct schema_key *key)
{
    bool first = true;

    buf_add_text(out, "{\"type\": \"object\", \"properties\": {");
    for (const struct schema_key *role = schema_keys; role->path; role++) {
        if (!schema_is_child(role, key->path))
            continue;
        buf_printf(out, "%s\"%s\": {\"type\": \"object\", \"additionalProperties\": " SCALAR "}",
                   first ? "" : ", ", schema_name(role));
        first = false;
    }
    buf_add_text(out, "}, \"additionalProperties\": " SCALAR "}");
}

static void add_headers(struct buf *out)
{
    buf_add_text(out, "{\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": "
                      "\"string\"}, {\"type\": \"object\", \"properties\": {\"file\": "
                      "{\"type\": \"string\"}}, \"required\": [\"file\"], "
                      "\"additionalProperties\": false}]}}");
}

/* Types whose values are always text in the file. */
static void add_text_type(struct buf *out, const struct schema_key *key)
{
    switch (key->type) {
    case TYPE_DURATION:
        add_pattern(out, DURATION);
        break;
    case TYPE_DURATION_AUTO:
        add_pattern(out, "^auto$|" DURATION);
        break;
    case TYPE_SHARE:
        add_pattern(out, "^[0-9]+([.][0-9]+)?%$");
        break;
    case TYPE_FIELD:
        add_pattern(out, "^(kafka-key|timestamp|header:.+|json:(/.*)?)$");
        break;
    case TYPE_CHOICE:
    case TYPE_SWITCH:
        add_enum(out, key->choices);
        break;
    default:
        buf_add_text(out, "{\"type\": \"string\"}");
    }
}

static void add_scalar_type(struct buf *out, const struct schema_key *key)
{
    switch (key->type) {
    case TYPE_BOOL:
        buf_add_text(out, "{\"type\": \"boolean\"}");
        break;
    case TYPE_VERSION:
    case TYPE_COUNT:
        add_integer(out, key);
        break;
    case TYPE_NUMBER:
        buf_printf(out,
                   "{\"type\": \"number\", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64 "}",
                   key->min, key->max);
        break;
    case TYPE_SIZE:
        buf_add_text(out, "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0}, ");
        add_pattern(out, "^[0-9]+(B|KiB|MiB|GiB|TiB)?$");
        buf_add_text(out, "]}");
        break;
    case TYPE_STATUSES:
        buf_add_text(out,
                     "{\"anyOf\": [" STATUS ", {\"type\": \"array\", \"items\": " STATUS "}]}");
        break;
    case TYPE_ERRORS:
        buf_add_text(out, "{\"anyOf\": [" ERROR_NAME
                          ", {\"type\": \"array\", \"items\": " ERROR_NAME "}]}");
        break;
    default:
        add_text_type(out, key);
    }
}

/* What a value may be, without what is common to all keys. */
static void add_type(struct buf *out, const struct schema_key *key)
{
    switch (key->type) {
    case TYPE_SECTION:
        add_section(out, key->path);
        break;
    case TYPE_ITEMS:
        add_items(out, key);
        break;
    case TYPE_PROPERTIES:
        add_properties(out, key);
        break;
    case TYPE_HEADERS:
        add_headers(out);
        break;
    case TYPE_TEXTS:
        add_list(out, key, "{\"type\": \"string\"}");
        break;
    case TYPE_DURATIONS:
        add_list(out, key, "{\"type\": \"string\", \"pattern\": \"" DURATION "\"}");
        break;
    default:
        add_scalar_type(out, key);
    }
}

static bool is_scalar(const struct schema_key *key)
{
    switch (key->type) {
    case TYPE_SECTION:
    case TYPE_ITEMS:
    case TYPE_PROPERTIES:
    case TYPE_HEADERS:
    case TYPE_TEXTS:
    case TYPE_DURATIONS:
        return false;
    default:
        return true;
    }
}

static void add_key(struct buf *out, const struct schema_key *key)
{
    bool optional = !key->required && !key->preset;

    buf_printf(out, "\"%s\": {\"description\": ", schema_name(key));
    buf_add_json(out, slice_of(key->doc));
    if (key->preset) {
        buf_add_text(out, ", \"default\": ");
        json_add_yaml(out, key->preset);
    }
    buf_add_text(out, ", \"anyOf\": [");
    add_type(out, key);
    if (is_scalar(key))
        buf_add_text(out, ", " VARIABLE);
    if (optional)
        buf_add_text(out, ", {\"type\": \"null\"}");
    buf_add_text(out, "]}");
}

static void add_section(struct buf *out, const char *section)
{
    bool first = true;

    buf_add_text(out, "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {");
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        if (!schema_is_child(key, section) || key->later == LATER_KEY)
            continue;
        buf_add_text(out, first ? "" : ", ");
        add_key(out, key);
        first = false;
    }
    buf_add_text(out, "}");
    first = true;
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        if (!schema_is_child(key, section) || !key->required)
            continue;
        buf_printf(out, "%s\"%s\"", first ? ", \"required\": [" : ", ", schema_name(key));
        first = false;
    }
    buf_add_text(out, first ? "}" : "]}");
}

void config_schema(struct buf *out)
{
    struct buf flat = {0};

    buf_add_text(&flat,
                 "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", "
                 "\"title\": \"oncegate.yaml\", "
                 "\"$defs\": {\"variable\": {\"description\": \"a value from the environment: "
                 "${NAME} or ${NAME:-default}\", \"type\": \"string\", \"pattern\": "
                 "\"[$][{][A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?[}]\"}}, \"allOf\": [");
    add_section(&flat, "");
    buf_add_text(&flat, "]}");
    json_add_pretty(out, buf_slice(&flat));
    buf_deinit(&flat);
}
