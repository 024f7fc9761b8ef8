/* One key in words, and the whole table as a reference page. */
#include "config/explain.h"

#include <string.h>

#include "base/str.h"
#include "config/kafka_properties.h"
#include "config/load.h"

void explain_range(const struct schema_key *key, struct buf *out)
{
    char low[STR_DURATION_MAX], high[STR_DURATION_MAX];

    switch (key->type) {
    case TYPE_COUNT:
    case TYPE_NUMBER:
        buf_add_i64(out, key->min);
        buf_add_text(out, " to ");
        buf_add_i64(out, key->max);
        break;
    case TYPE_SHARE:
        buf_add_i64(out, key->min);
        buf_add_text(out, "% to ");
        buf_add_i64(out, key->max);
        buf_add_char(out, '%');
        break;
    case TYPE_SIZE:
        str_from_size((uint64_t)key->min, low);
        str_from_size((uint64_t)key->max, high);
        buf_printf(out, "%s to %s", low, high);
        break;
    case TYPE_DURATION:
    case TYPE_DURATION_AUTO:
    case TYPE_DURATIONS:
        str_from_duration_ms(key->min, low);
        str_from_duration_ms(key->max, high);
        buf_printf(out, "%s to %s", low, high);
        break;
    default:
        break;
    }
}

/* routes[0].handler.timeout and routes.handler.timeout are both routes[].handler.timeout; writes a
 * NUL. */
static bool normalise(const char *path, char out[SCHEMA_PATH_MAX])
{
    struct buf text = {0};

    for (const char *at = path; *at;) {
        if (*at == '[') {
            at += strcspn(at, "]");
            at += *at == ']';
            continue;
        }
        buf_add_char(&text, *at++);
        bool end = *at == '.' || *at == '[' || *at == '\0';
        char whole[SCHEMA_PATH_MAX];
        if (!end || !str_copy(whole, sizeof(whole), buf_slice(&text)))
            continue;
        const struct schema_key *key = schema_find(whole);
        size_t skip = *at == '[' ? strcspn(at, "]") + 1 : 0;
        if (key && key->type == TYPE_ITEMS && strlen(at) > skip)
            buf_add_text(&text, "[]");
    }
    bool fits = str_copy(out, SCHEMA_PATH_MAX, text.data ? buf_slice(&text) : slice_of(""));
    buf_deinit(&text);
    return fits;
}

/* The only key that ends so, where the path is not whole. */
static const struct schema_key *find_by_end(const char *path)
{
    const struct schema_key *found = NULL;
    size_t len = strlen(path);

    for (const struct schema_key *key = schema_keys; key->path; key++) {
        size_t whole = strlen(key->path);
        if (whole <= len || strcmp(key->path + whole - len, path) != 0 ||
            key->path[whole - len - 1] != '.')
            continue;
        if (found)
            return NULL;
        found = key;
    }
    return found;
}

static const char *kafka_name(const char *path)
{
    static const char *const prefixes[] = {"kafka.consumer.", "kafka.producer.", "kafka."};

    for (size_t i = 0; i < 3; i++)
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
            return path + strlen(prefixes[i]);
    return NULL;
}

static void explain_property(const char *name, struct buf *out)
{
    const char *reason = kafka_property_refused(name, NULL);
    const char *hint = kafka_property_hint(name);

    buf_printf(out, "kafka.%s\n", name);
    if (reason)
        buf_printf(out, "  refused: %s\n", reason);
    else if (hint && hint[0] == '!')
        buf_printf(out, "  refused: no property of librdkafka: %s\n", hint + 1);
    else if (hint)
        buf_printf(out, "  refused: no property of librdkafka, but there is %s\n", hint);
    else
        buf_printf(out, "  passed on to librdkafka%s; see its CONFIGURATION.md\n",
                   kafka_property_is_secret(name) ? ", never shown" : "");
}

static void explain_choices(const struct schema_key *key, struct buf *out)
{
    for (const struct schema_choice *choice = key->choices; choice && choice->name; choice++)
        buf_printf(out, "    %-14s %s%s\n", choice->name, choice->doc,
                   choice->later ? " (not in this version)" : "");
}

static void explain_children(const struct schema_key *key, struct buf *out)
{
    char section[SCHEMA_PATH_MAX];

    schema_section(key, section);
    for (const struct schema_key *child = schema_keys; child->path; child++)
        if (schema_is_child(child, section))
            buf_printf(out, "    %-18s %s\n", schema_name(child), child->doc);
}

static void explain_key(const struct schema_key *key, struct buf *out)
{
    struct buf range = {0};

    buf_printf(out, "%s%s\n  %s\n  type:    ", key->path,
               key->later == LATER_KEY ? " (not in this version)" : "", key->doc);
    schema_expects(key, out);
    explain_range(key, &range);
    if (range.len)
        buf_printf(out, " (%s)", range.data);
    if (key->preset && key->type == TYPE_ITEMS)
        buf_printf(out, "\n  default:\n%s", key->preset);
    else if (key->preset)
        buf_printf(out, "\n  default: %s\n", key->preset);
    else if (key->required)
        buf_add_text(out, "\n  required\n");
    else if (key->unset)
        buf_printf(out, "\n  default: %s\n", key->unset);
    else
        buf_add_char(out, '\n');
    if (key->example)
        buf_printf(out, "  example: %s\n", key->example);
    explain_choices(key, out);
    explain_children(key, out);
    buf_deinit(&range);
}

/* The nearest whole path, then the nearest last part. */
static const struct schema_key *nearest_path(const char *path)
{
    const struct schema_key *best = NULL;
    size_t limit = strlen(path) / 3 < 6 ? strlen(path) / 3 : 6;

    for (const struct schema_key *key = schema_keys; key->path; key++) {
        size_t distance = str_distance(path, key->path, limit);
        if (distance <= limit && (!best || distance < limit)) {
            best = key;
            limit = distance;
        }
    }
    const char *dot = strrchr(path, '.');
    const char *name = dot ? dot + 1 : path;
    limit = strlen(name) / 3;
    for (const struct schema_key *key = schema_keys; !best && key->path; key++)
        if (str_distance(name, schema_name(key), limit) <= limit)
            best = key;
    return best;
}

bool config_explain(const char *path, struct buf *out, struct err *err)
{
    char whole[SCHEMA_PATH_MAX];
    const struct schema_key *key = NULL;

    if (normalise(path, whole))
        key = schema_find(whole);
    else
        return err_set(err, ERR_USAGE, "%.60s...: no key has so long a path", path);
    if (!key && whole[0] != '\0')
        key = find_by_end(whole);
    if (key) {
        explain_key(key, out);
        return true;
    }
    const char *property = kafka_name(whole);
    if (property && property[0] != '\0') {
        explain_property(property, out);
        return true;
    }
    const struct schema_key *near = nearest_path(whole);
    return err_set(err, ERR_USAGE, "%s: no such key%s%s%s", path, near ? " (did you mean " : "",
                   near ? near->path : "", near ? "?)" : "");
}
