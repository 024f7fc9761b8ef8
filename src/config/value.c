/*
 * From a scalar or a list to a stored value, by the type of its row.
 * A value that does not fit is reported with its place and leaves the storage as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/load.h"
#include "config/problems.h"
#include "config/secret_file.h"

void schema_expects(const struct schema_key *key, struct buf *out)
{
    static const char *const texts[] = {
        [TYPE_SECTION] = "a mapping of keys",
        [TYPE_ITEMS] = "a list of mappings",
        [TYPE_VERSION] = "the number 1",
        [TYPE_TEXT] = "text",
        [TYPE_TEXTS] = "a list of texts",
        [TYPE_SECRET] = "text",
        [TYPE_SECRET_FILE] = "the path of a file",
        [TYPE_BOOL] = "true or false",
        [TYPE_COUNT] = "a whole number",
        [TYPE_SIZE] = "a size such as 512B, 64KiB, 10MiB or 1GiB",
        [TYPE_DURATION] = "a duration such as 500ms, 10s, 5m, 1h or 7d",
        [TYPE_DURATION_AUTO] = "auto, or a duration such as 500ms, 10s, 5m, 1h or 7d",
        [TYPE_DURATIONS] = "a list of durations such as [10s, 1m]",
        [TYPE_NUMBER] = "a number",
        [TYPE_SHARE] = "a percentage such as 50%",
        [TYPE_FIELD] = "kafka-key, header:NAME, json:/pointer or timestamp",
        [TYPE_LISTEN] = "an address and port such as 127.0.0.1:9464",
        [TYPE_REDIS_URL] = "a URL such as redis://127.0.0.1:6379/0",
        [TYPE_PROPERTIES] = "a mapping of property names to values",
        [TYPE_HEADERS] = "a mapping of header names to text or {file: /path}",
        [TYPE_STATUSES] = "2xx, 503, or a list of such",
        [TYPE_ERRORS] = "connect, dns, tls, timeout, reset, protocol, a list of such, or any",
    };

    if (key->type == TYPE_CHOICE || key->type == TYPE_SWITCH)
        schema_choice_list(key->choices, out);
    else
        buf_add_text(out, texts[key->type]);
}

bool load_refuse(struct load *load, const struct schema_key *key, struct node *node)
{
    struct buf wanted = {0};

    if (node->bad)
        return false;
    schema_expects(key, &wanted);
    bool quote = node->kind == NODE_SCALAR && !node_is_null(node);
    if (quote && node->plain)
        node_error(node, load->problems, "%s is expected, not %.80s", wanted.data, node->text);
    else if (quote)
        node_error(node, load->problems, "%s is expected, not the text \"%.80s\"", wanted.data,
                   node->text);
    else
        node_error(node, load->problems, "%s is expected, not %s", wanted.data,
                   node_type_name(node));
    buf_deinit(&wanted);
    return false;
}

bool load_wants_scalar(struct load *load, const struct schema_key *key, struct node *node)
{
    if (node->bad)
        return false;
    return (node->kind == NODE_SCALAR && !node_is_null(node)) || load_refuse(load, key, node);
}

bool load_wants_text(struct load *load, const struct schema_key *key, struct node *node)
{
    if (!load_wants_scalar(load, key, node))
        return false;
    const char *found = node_type_name(node);
    if (strcmp(found, "text") != 0 && key->type != TYPE_TEXT && key->type != TYPE_SECRET)
        return load_refuse(load, key, node);
    return strcmp(found, "text") == 0 ||
           node_error(node, load->problems, "text is expected, not %s: put it in quotes", found);
}

/* Numbers and booleans are written without quotes, unless ${} brought them. */
static bool is_literal(const struct node *node)
{
    return node->plain || node->expanded;
}

static bool check_range(struct load *load, const struct schema_key *key, struct node *node,
                        int64_t value, void (*format)(int64_t, char *))
{
    char low[STR_DURATION_MAX], high[STR_DURATION_MAX];

    if ((key->min == 0 && key->max == 0) || (value >= key->min && value <= key->max))
        return true;
    format(key->min, low);
    format(key->max, high);
    return node_error(node, load->problems, "%s is out of range: %s to %s", node->text, low, high);
}

static void format_number(int64_t value, char *out)
{
    struct buf text = {0};

    buf_add_i64(&text, value);
    (void)str_copy(out, STR_DURATION_MAX, buf_slice(&text));
    buf_deinit(&text);
}

static void format_duration(int64_t value, char *out)
{
    str_from_duration_ms(value, out);
}

static void format_size(int64_t value, char *out)
{
    str_from_size((uint64_t)value, out);
}

static bool read_text(struct load *load, const struct schema_key *key, struct node *node)
{
    if (!load_wants_text(load, key, node))
        return false;
    const char *why = key->check ? key->check(node->text) : NULL;
    if (!why)
        return true;
    if (strchr(node->text, '@')) /* a URL that may hold a password */
        return node_error(node, load->problems, "%s", why);
    return node_error(node, load->problems, "\"%.100s\": %s", node->text, why);
}

static bool read_duration(struct load *load, const struct schema_key *key, struct node *node,
                          int64_t *out)
{
    int64_t ms;
    uint64_t number;

    if (!load_wants_scalar(load, key, node))
        return false;
    if (str_to_u64(slice_of(node->text), &number))
        return node_error(node, load->problems,
                          "a duration needs a unit: %sms, %ss, %sm, %sh or %sd", node->text,
                          node->text, node->text, node->text, node->text);
    if (!str_to_duration_ms(slice_of(node->text), &ms))
        return load_refuse(load, key, node);
    if (!check_range(load, key, node, ms, format_duration))
        return false;
    *out = ms;
    return true;
}

static void set_text(char **place, const char *text)
{
    mem_free(*place);
    *place = mem_strdup(text);
}

void load_warn_unreadable(struct load *load, const struct node *path)
{
    if (access(path->text, R_OK) != 0)
        node_warn(path, load->problems, "%s cannot be read now: %s", path->text, strerror(errno));
}

/* Files are named by keys that end in _file or _files. */
static bool names_files(const struct schema_key *key)
{
    const char *end = strstr(key->path, "_file");

    return end && (strcmp(end, "_file") == 0 || strcmp(end, "_files") == 0);
}

static void load_secret_file(struct load *load, const struct schema_key *key, struct node *node,
                             char **place)
{
    char *text = NULL;
    struct err err = {0};

    if (!read_text(load, key, node))
        return;
    if (!secret_file_read(node->text, &text, &err)) {
        node_error(node, load->problems, "%s", err.text);
        return;
    }
    mem_free(*place);
    *place = text;
}

static void load_bool(struct load *load, const struct schema_key *key, struct node *node, bool *out)
{
    if (!load_wants_scalar(load, key, node))
        return;
    if (is_literal(node) && strcmp(node->text, "true") == 0)
        *out = true;
    else if (is_literal(node) && strcmp(node->text, "false") == 0)
        *out = false;
    else
        load_refuse(load, key, node);
}

static void load_count(struct load *load, const struct schema_key *key, struct node *node,
                       uint32_t *out)
{
    uint64_t number;

    if (!load_wants_scalar(load, key, node))
        return;
    if (!is_literal(node) || !str_to_u64(slice_of(node->text), &number)) {
        load_refuse(load, key, node);
        return;
    }
    int64_t capped = number > INT64_MAX ? INT64_MAX : (int64_t)number;
    if (!check_range(load, key, node, capped, format_number))
        return;
    if (out)
        *out = (uint32_t)number;
}

static void load_size(struct load *load, const struct schema_key *key, struct node *node,
                      uint64_t *out)
{
    uint64_t bytes;

    if (!load_wants_scalar(load, key, node))
        return;
    if (!str_to_size(slice_of(node->text), &bytes) || bytes > INT64_MAX)
        load_refuse(load, key, node);
    else if (check_range(load, key, node, (int64_t)bytes, format_size))
        *out = bytes;
}

/* A decimal number without sign and exponent, digits on both sides of a point. */
static bool to_number(const char *text, double *out)
{
    size_t whole = strspn(text, "0123456789");
    size_t len = whole;

    if (text[whole] == '.') {
        size_t part = strspn(text + whole + 1, "0123456789");
        if (part == 0)
            return false;
        len += 1 + part;
    }
    if (whole == 0 || len > 15 || text[len] != '\0')
        return false;
    double value = 0, scale = 1;
    for (const char *c = text; *c; c++) {
        if (*c == '.')
            continue;
        value = value * 10 + (*c - '0');
        if ((size_t)(c - text) > whole)
            scale *= 10;
    }
    *out = value / scale;
    return true;
}

static void load_number(struct load *load, const struct schema_key *key, struct node *node,
                        double *out)
{
    double number;
    char text[32];

    if (!load_wants_scalar(load, key, node))
        return;
    bool share = key->type == TYPE_SHARE;
    bool fits = str_copy(text, sizeof(text), slice_of(node->text));
    size_t len = strlen(text);
    if (share && fits) {
        fits = len > 1 && text[len - 1] == '%';
        text[len ? len - 1 : 0] = '\0';
    }
    if (!fits || !(share || is_literal(node)) || !to_number(text, &number))
        load_refuse(load, key, node);
    else if (number < (double)key->min || number > (double)key->max)
        node_error(node, load->problems, "%s is out of range: %" PRId64 "%s to %" PRId64 "%s",
                   node->text, key->min, share ? "%" : "", key->max, share ? "%" : "");
    else
        *out = share ? number / 100 : number;
}

static const struct schema_choice *nearest_choice(const struct schema_choice *choices,
                                                  const char *text)
{
    const struct schema_choice *best = NULL;
    size_t limit = strlen(text) / 3 + 1;

    for (; choices->name; choices++) {
        size_t distance = str_distance(text, choices->name, limit);
        if (!choices->later && distance <= limit && (!best || distance < limit)) {
            best = choices;
            limit = distance;
        }
    }
    return best;
}

static bool read_choice(struct load *load, const struct schema_key *key, struct node *node,
                        int *out)
{
    if (!load_wants_scalar(load, key, node))
        return false;
    for (const struct schema_choice *choice = key->choices; choice->name; choice++) {
        if (strcmp(choice->name, node->text) != 0)
            continue;
        *out = choice->value;
        return !choice->later ||
               node_error(node, load->problems, "%s is not in this version", choice->name);
    }
    struct buf words = {0};
    schema_choice_list(key->choices, &words);
    const struct schema_choice *near = nearest_choice(key->choices, node->text);
    node_error(node, load->problems, "%s is expected, not \"%.80s\"%s%s%s", words.data, node->text,
               near ? " (did you mean " : "", near ? near->name : "", near ? "?)" : "");
    buf_deinit(&words);
    return false;
}

static bool wants_list(struct load *load, const struct schema_key *key, struct node *node)
{
    if (node->bad)
        return false;
    if (node->kind != NODE_LIST)
        return load_refuse(load, key, node);
    if (key->type == TYPE_DURATIONS)
        return node->count <= 20 || node_error(node, load->problems, "more than 20 entries");
    if ((int64_t)node->count < key->min)
        return node_error(node, load->problems, "at least one entry is needed");
    if (key->max && (int64_t)node->count > key->max)
        return node_error(node, load->problems, "more than %" PRId64 " entries", key->max);
    return true;
}

static const struct node *twin_before(const struct node *node)
{
    for (const struct node *other = node->parent->first; other != node; other = other->next)
        if (!other->bad && other->kind == NODE_SCALAR && strcmp(other->text, node->text) == 0)
            return other;
    return NULL;
}

static void add_text(struct load *load, const struct schema_key *key, const struct node *node,
                     char **place)
{
    *place = mem_strdup(node->text);
    if (names_files(key))
        load_warn_unreadable(load, node);
}

static void load_texts(struct load *load, const struct schema_key *key, struct node *list,
                       char ***texts, size_t *count)
{
    const struct schema_key entry = {
        .path = key->path, .type = TYPE_TEXT, .check = key->check, .at = NO_PLACE};

    if (!wants_list(load, key, list))
        return;
    *texts = mem_calloc(list->count ? list->count : 1, sizeof(**texts));
    for (struct node *node = list->first; node; node = node->next) {
        if (!read_text(load, &entry, node))
            continue;
        if (key->later_prefix &&
            strncmp(node->text, key->later_prefix, strlen(key->later_prefix)) == 0)
            node_error(node, load->problems, "a text that begins with %s is not in this version",
                       key->later_prefix);
        else if (twin_before(node))
            node_error(node, load->problems, "\"%s\" is given twice (first at line %u, column %u)",
                       node->text, twin_before(node)->line, twin_before(node)->column);
        else
            add_text(load, key, node, &(*texts)[(*count)++]);
    }
}

static void load_durations(struct load *load, const struct schema_key *key, struct node *list,
                           int64_t **durations, size_t *count)
{
    struct schema_key entry = *key;

    entry.type = TYPE_DURATION;
    if (!wants_list(load, key, list))
        return;
    *durations = mem_calloc(list->count ? list->count : 1, sizeof(**durations));
    for (struct node *node = list->first; node; node = node->next) {
        int64_t ms;
        if (read_duration(load, &entry, node, &ms))
            (*durations)[(*count)++] = ms;
        else
            list->bad = true;
    }
}

static void load_items(struct load *load, const struct schema_key *key, struct node *list,
                       void **items, size_t *count)
{
    char section[SCHEMA_PATH_MAX];

    if (!wants_list(load, key, list))
        return;
    schema_section(key, section);
    *items = mem_calloc(list->count ? list->count : 1, key->item_size);
    *count = list->count;
    for (struct node *node = list->first; node; node = node->next)
        load_section(load, section, node, load_at(*items, node->index * key->item_size));
}

static void load_scalar(struct load *load, const struct schema_key *key, struct node *node,
                        void *place)
{
    int choice;

    switch (key->type) {
    case TYPE_TEXT:
    case TYPE_SECRET:
        if (!read_text(load, key, node))
            break;
        set_text(place, node->text);
        if (names_files(key))
            load_warn_unreadable(load, node);
        break;
    case TYPE_SECRET_FILE:
        load_secret_file(load, key, node, place);
        break;
    case TYPE_BOOL:
        load_bool(load, key, node, place);
        break;
    case TYPE_COUNT:
    case TYPE_VERSION:
        load_count(load, key, node, place);
        break;
    case TYPE_SIZE:
        load_size(load, key, node, place);
        break;
    case TYPE_DURATION_AUTO:
        if (node->kind == NODE_SCALAR && !node->bad && strcmp(node->text, "auto") == 0)
            break;
        (void)read_duration(load, key, node, place);
        break;
    case TYPE_DURATION:
        (void)read_duration(load, key, node, place);
        break;
    case TYPE_NUMBER:
    case TYPE_SHARE:
        load_number(load, key, node, place);
        break;
    case TYPE_CHOICE:
        if (read_choice(load, key, node, &choice))
            memcpy(place, &choice, sizeof(choice));
        break;
    case TYPE_SWITCH:
        if (read_choice(load, key, node, &choice))
            *(bool *)place = choice != 0;
        break;
    default:
        abort();
    }
}

void load_value(struct load *load, const struct schema_key *key, struct node *node, void *item)
{
    char section[SCHEMA_PATH_MAX];
    void *place = key->at == NO_PLACE ? NULL : load_at(item, key->at);
    size_t *count = load_at(item, key->count_at); /* of lists only */

    switch (key->type) {
    case TYPE_SECTION:
        schema_section(key, section);
        load_section(load, section, node, item);
        break;
    case TYPE_ITEMS:
        load_items(load, key, node, place, count);
        break;
    case TYPE_TEXTS:
        load_texts(load, key, node, place, count);
        break;
    case TYPE_DURATIONS:
        load_durations(load, key, node, place, count);
        break;
    case TYPE_HEADERS:
        load_headers(load, key, node, place, count);
        break;
    case TYPE_FIELD:
        load_field(load, key, node, place);
        break;
    case TYPE_LISTEN:
        load_listen(load, key, node, place);
        break;
    case TYPE_REDIS_URL:
        load_redis_url(load, node, place);
        break;
    case TYPE_PROPERTIES:
        load_properties(load, key, node, place);
        break;
    case TYPE_STATUSES:
        load_statuses(load, key, node, place);
        break;
    case TYPE_ERRORS:
        load_errors(load, key, node, place);
        break;
    default:
        load_scalar(load, key, node, place);
    }
}
