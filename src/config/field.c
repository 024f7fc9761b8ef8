/* Readers of values with a shape of their own: field sources, listen addresses, request headers. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/load.h"
#include "config/schema_checks.h"

/* RFC 6901: empty or a run of /tokens in which ~ stands only before 0 and 1. */
static bool is_json_pointer(const char *text)
{
    if (text[0] != '\0' && text[0] != '/')
        return false;
    for (; *text; text++)
        if (*text == '~' && text[1] != '0' && text[1] != '1')
            return false;
    return true;
}

static void set_field(struct field_source *field, enum field_from from, const char *name)
{
    mem_free(field->name);
    field->from = from;
    field->name = mem_strdup(name);
}

void load_field(struct load *load, const struct schema_key *key, struct node *node,
                struct field_source *field)
{
    const char *name = schema_name(key);
    bool is_key = strcmp(name, "key") == 0;

    if (!load_wants_text(load, key, node))
        return;
    const char *text = node->text;
    if (strncmp(text, "header:", 7) == 0) {
        if (text[7] == '\0')
            node_error(node, load->problems, "header: needs a name behind it, e.g. header:seq");
        else if (strncmp(text + 7, "oncegate-", 9) == 0)
            node_error(node, load->problems,
                       "headers that begin with oncegate- are this program's own");
        else
            set_field(field, FIELD_HEADER, text + 7);
    } else if (strncmp(text, "json:", 5) == 0) {
        if (is_json_pointer(text + 5))
            set_field(field, FIELD_JSON, text + 5);
        else
            node_error(node, load->problems,
                       "\"%.80s\" is no JSON pointer (RFC 6901), e.g. json:/order/id", text + 5);
    } else if (strcmp(text, "kafka-key") == 0 && is_key) {
        set_field(field, FIELD_KAFKA_KEY, NULL);
    } else if (strcmp(text, "timestamp") == 0 && strcmp(name, "from") == 0) {
        set_field(field, FIELD_TIMESTAMP, NULL);
    } else {
        node_error(
            node, load->problems, "%sheader:NAME or json:/pointer%s is expected, not \"%.80s\"",
            is_key ? "kafka-key, " : "", strcmp(name, "from") == 0 ? " or timestamp" : "", text);
    }
}

void load_listen(struct load *load, const struct schema_key *key, struct node *node,
                 struct listen_config *listen)
{
    uint64_t port;

    if (!load_wants_text(load, key, node))
        return;
    const char *text = node->text;
    const char *colon = strrchr(text, ':');
    bool bracket = text[0] == '[';
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    if (!colon || host_len == 0 || (bracket && (host_len < 3 || colon[-1] != ']')) ||
        !str_to_u64(slice_of(colon + 1), &port) || port > 65535) {
        load_refuse(load, key, node);
        return;
    }
    char *host = mem_strndup(text + bracket, host_len - 2 * (size_t)bracket);
    if (check_host(host) || (!bracket && strchr(host, ':'))) {
        load_refuse(load, key, node);
        mem_free(host);
        return;
    }
    mem_free(listen->host);
    listen->host = host;
    listen->port = (uint16_t)port;
}

/* What the program writes by itself, or what would break the framing of a request. */
static const char *header_is_reserved(const char *name)
{
    static const char *const own[] = {
        "host",       "content-length",    "transfer-encoding", "connection", "keep-alive",
        "te",         "trailer",           "upgrade",           "expect",     "idempotency-key",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    };
    static const char *const prefixes[] = {"oncegate-", "kafka-", "ce-"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcasecmp(name, own[i]) == 0)
            return "this header is written by the gateway itself";
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return "headers that begin with Oncegate-, Kafka- and ce- are written by the gateway "
                   "itself";
    return NULL;
}

static bool is_header_value(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool load_header_value(struct load *load, struct node *node, struct request_header *header)
{
    static const struct schema_key text_key = {.path = "value", .type = TYPE_TEXT};

    if (node->bad)
        return false;
    if (node->kind == NODE_SCALAR) {
        if (!load_wants_text(load, &text_key, node))
            return false;
        if (!is_header_value(node->text))
            return node_error(node, load->problems,
                              "control characters are not allowed in a header");
        header->value = mem_strdup(node->text);
        return true;
    }
    struct node *file = node_get(node, "file");
    if (!file || node->count != 1)
        return node_error(node, load->problems, "text or {file: /path} is expected");
    if (!load_wants_text(load, &text_key, file))
        return false;
    const char *why = check_path(file->text);
    if (why)
        return node_error(file, load->problems, "%s", why);
    header->file = mem_strdup(file->text);
    load_warn_unreadable(load, file);
    return true;
}

static bool header_given_before(const struct request_header *headers, size_t count,
                                const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(headers[i].name, name) == 0)
            return true;
    return false;
}

void load_headers(struct load *load, const struct schema_key *key, struct node *map,
                  struct request_header **headers, size_t *count)
{
    if (map->bad)
        return;
    if (map->kind != NODE_MAP) {
        load_refuse(load, key, map);
        return;
    }
    *headers = mem_calloc(map->count ? map->count : 1, sizeof(**headers));
    for (struct node *node = map->first; node; node = node->next) {
        struct request_header header = {0};
        const char *why = check_header_name(node->key);
        if (!why)
            why = header_is_reserved(node->key);
        if (why) {
            node_error(node, load->problems, "%s", why);
        } else if (header_given_before(*headers, *count, node->key)) {
            node_error(node, load->problems, "given twice: case does not matter in header names");
        } else if (load_header_value(load, node, &header)) {
            header.name = mem_strdup(node->key);
            (*headers)[(*count)++] = header;
        }
    }
}
