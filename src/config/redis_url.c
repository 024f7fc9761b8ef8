/*
 * redis://[user[:password]@]host[:port][/db], unix:///path[?db=N],
 * redis+sentinel://[user[:password]@]host[:port],.../master[?db=N],
 * redis+cluster://[user[:password]@]host[:port],...; with rediss for TLS.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/load.h"
#include "config/schema_checks.h"

#define PLACES_MAX 64

static const struct scheme {
    const char *name;
    enum redis_kind kind;
    bool tls, is_unix, later;
} schemes[] = {
    {.name = "redis://"},
    {.name = "rediss://", .tls = true},
    {.name = "unix://", .is_unix = true},
    {.name = "redis+sentinel://", .kind = REDIS_SENTINEL},
    {.name = "rediss+sentinel://", .kind = REDIS_SENTINEL, .tls = true},
    {.name = "redis+cluster://", .kind = REDIS_CLUSTER},
    {.name = "rediss+cluster://", .kind = REDIS_CLUSTER, .tls = true},
    {0},
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Heap text, transferred; NULL where an escape is broken. */
static char *percent_decode(const char *text, size_t len)
{
    char *out = mem_alloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            bool whole = len - i > 2;
            int high = whole ? hex_digit(text[i + 1]) : -1;
            int low = whole ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                mem_free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return out;
}

static void replace(char **place, char *text)
{
    mem_free(*place);
    *place = text;
}

static bool read_db(const char *text, int *out)
{
    uint64_t db;

    if (*text == '\0') {
        *out = 0;
        return true;
    }
    if (!str_to_u64(slice_of(text), &db) || db > 65535)
        return false;
    *out = (int)db;
    return true;
}

static const char *read_user(const char *text, size_t len, struct redis_config *redis)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon ? (size_t)(colon - text) : len;

    if (name_len) {
        replace(&redis->username, percent_decode(text, name_len));
        if (!redis->username)
            return "the user is not percent-encoded rightly";
    }
    if (colon) {
        replace(&redis->password, percent_decode(colon + 1, len - name_len - 1));
        if (!redis->password)
            return "the password is not percent-encoded rightly";
    }
    return NULL;
}

/* Cuts host[:port] into its parts, in place; port holds the default. */
static const char *read_place(char *text, char **host, uint16_t *port)
{
    uint64_t number = *port;
    char *rest;

    *host = text;
    if (text[0] == '[') {
        rest = strchr(text, ']');
        if (!rest)
            return "the [IPv6 address] is not closed";
        (*host)++;
        *rest++ = '\0';
    } else {
        rest = text + strcspn(text, ":");
    }
    if (*rest == ':') {
        *rest++ = '\0';
        if (!str_to_u64(slice_of(rest), &number) || number < 1 || number > 65535)
            return "the port is none of 1 to 65535";
    } else if (*rest != '\0') {
        return "behind the host only :port and what follows the / may stand";
    }
    if (check_host(*host))
        return "it names no legal host";
    *port = (uint16_t)number;
    return NULL;
}

static const char *read_host(char *text, struct redis_config *redis)
{
    char *host;
    const char *why;

    redis->port = 6379;
    why = read_place(text, &host, &redis->port);
    if (!why)
        replace(&redis->host, mem_strdup(host));
    return why;
}

/* host[:port],host[:port],... */
static const char *read_places(char *text, struct redis_config *redis)
{
    const char *why = NULL;

    for (char *next = text; next && !why; text = next) {
        struct redis_place place = {NULL, redis->kind == REDIS_SENTINEL ? 26379 : 6379};
        char *host;
        next = strchr(text, ',');
        if (next)
            *next++ = '\0';
        why = redis->place_count == PLACES_MAX ? "it names more than 64 hosts"
                                               : read_place(text, &host, &place.port);
        if (why)
            break;
        place.host = mem_strdup(host);
        redis->places = mem_realloc(redis->places,
                                    (redis->place_count + 1) * sizeof(*redis->places));
        redis->places[redis->place_count++] = place;
    }
    return why;
}

static bool read_master(const char *text, size_t len, struct redis_config *redis)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (len == 0 || len > 200 || strspn(text, legal) < len)
        return false;
    replace(&redis->master, mem_strndup(text, len));
    return true;
}

/* What follows the hosts. */
static const char *read_tail(const char *tail, struct redis_config *redis)
{
    const char *path = tail[0] == '/' ? tail + 1 : "";
    size_t len = strcspn(path, "?");

    if (strchr(tail, '#') || (redis->kind != REDIS_SENTINEL && strchr(tail, '?')))
        return "it may have no query and no fragment";
    switch (redis->kind) {
    case REDIS_ALONE:
        return read_db(path, &redis->db) ? NULL : "behind the / only a database number may stand";
    case REDIS_CLUSTER:
        return path[0] == '\0' || strcmp(path, "0") == 0 ? NULL
                                                         : "a cluster has database 0 and no other";
    case REDIS_SENTINEL:
        break;
    }
    if (!read_master(path, len, redis))
        return "behind the / the sentinels' name of the master must stand";
    if (path[len] == '?' && (strncmp(path + len, "?db=", 4) != 0 || path[len + 4] == '\0' ||
                             !read_db(path + len + 4, &redis->db)))
        return "behind the master's name only ?db=NUMBER may stand";
    return NULL;
}

static const char *read_tcp(const char *text, struct redis_config *redis)
{
    size_t authority = strcspn(text, "/?#");
    const char *at = NULL;

    for (size_t i = 0; i < authority; i++)
        if (text[i] == '@')
            at = text + i;
    const char *why = read_tail(text + authority, redis);
    if (why)
        return why;
    const char *host = at ? at + 1 : text;
    char *copy = mem_strndup(host, authority - (size_t)(host - text));
    why = redis->kind == REDIS_ALONE ? read_host(copy, redis) : read_places(copy, redis);
    mem_free(copy);
    return why || !at ? why : read_user(text, (size_t)(at - text), redis);
}

static const char *read_unix(const char *text, struct redis_config *redis)
{
    size_t len = strcspn(text, "?");

    if (text[0] != '/')
        return "unix:// needs an absolute path: unix:///run/redis.sock";
    if (len > 107)
        return "a socket's path has at most 107 characters";
    if (text[len] == '?' && (strncmp(text + len, "?db=", 4) != 0 || text[len + 4] == '\0' ||
                             !read_db(text + len + 4, &redis->db)))
        return "behind the path only ?db=NUMBER may stand";
    char *path = percent_decode(text, len);
    if (!path || check_path(path)) {
        mem_free(path);
        return "the path is not percent-encoded rightly";
    }
    replace(&redis->unix_path, path);
    return NULL;
}

void load_redis_url(struct load *load, struct node *node, struct redis_config *redis)
{
    static const struct schema_key url_key = {.path = "url", .type = TYPE_REDIS_URL};
    const struct scheme *scheme = schemes;

    if (!load_wants_text(load, &url_key, node))
        return;
    while (scheme->name && strncmp(node->text, scheme->name, strlen(scheme->name)) != 0)
        scheme++;
    if (!scheme->name) {
        node_error(node, load->problems,
                   "must begin with redis://, rediss://, unix://, redis+sentinel:// or "
                   "redis+cluster:// (a URL such as redis://127.0.0.1:6379/0)");
        return;
    }
    if (scheme->later) {
        node_error(node, load->problems, "%s is not in this version", scheme->name);
        return;
    }
    const char *rest = node->text + strlen(scheme->name);
    redis->kind = scheme->kind;
    redis->tls_on = scheme->tls;
    const char *why = scheme->is_unix ? read_unix(rest, redis) : read_tcp(rest, redis);
    if (why)
        node_error(node, load->problems, "no usable URL: %s", why);
}
