/*
 * Takes the handler's URL apart. The parts go into every request as they stand, so nothing may pass
 * that could end a line or a field: only visible ASCII does.
 */
#include "handler/http_url.h"

#include <http_parser.h>
#include <string.h>

#include "base/mem.h"

static bool is_visible_ascii(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

static bool has(const struct http_parser_url *parts, enum http_parser_url_fields field)
{
    return (parts->field_set & (1U << field)) != 0;
}

static char *take(const struct http_parser_url *parts, enum http_parser_url_fields field,
                  const char *text)
{
    return mem_strndup(text + parts->field_data[field].off, parts->field_data[field].len);
}

static char *make_target(const struct http_parser_url *parts, const char *text)
{
    char *path = has(parts, UF_PATH) ? take(parts, UF_PATH, text) : mem_strdup("/");
    if (!has(parts, UF_QUERY))
        return path;
    char *query = take(parts, UF_QUERY, text);
    char *target = mem_printf("%s?%s", path, query);
    mem_free(path);
    mem_free(query);
    return target;
}

static char *make_host_header(const struct http_url *url)
{
    bool v6 = strchr(url->host, ':') != NULL;
    const char *open = v6 ? "[" : "";
    const char *close = v6 ? "]" : "";
    if (url->port == (url->tls ? 443 : 80))
        return mem_printf("%s%s%s", open, url->host, close);
    return mem_printf("%s%s%s:%u", open, url->host, close, (unsigned)url->port);
}

bool http_url_parse(struct http_url *url, const char *text, struct err *err)
{
    struct http_parser_url parts;

    *url = (struct http_url){0};
    http_parser_url_init(&parts);
    if (!is_visible_ascii(text) || http_parser_parse_url(text, strlen(text), 0, &parts) != 0 ||
        !has(&parts, UF_SCHEMA) || !has(&parts, UF_HOST))
        return err_set(err, ERR_CONFIG, "'%s' is not a URL like http://host:port/path", text);
    if (has(&parts, UF_USERINFO))
        return err_set(err, ERR_CONFIG,
                       "the handler's URL carries a user name; use request_headers.Authorization");
    if (has(&parts, UF_FRAGMENT))
        return err_set(err, ERR_CONFIG, "the handler's URL carries a fragment (#...)");

    size_t schema_len = parts.field_data[UF_SCHEMA].len;
    if (schema_len == 5 && strncasecmp(text, "https", 5) == 0)
        url->tls = true;
    else if (schema_len != 4 || strncasecmp(text, "http", 4) != 0)
        return err_set(err, ERR_CONFIG, "'%s': only http and https are spoken", text);

    url->port = has(&parts, UF_PORT) ? parts.port : (uint16_t)(url->tls ? 443 : 80);
    if (url->port == 0)
        return err_set(err, ERR_CONFIG, "'%s': port 0 is no port", text);
    url->host = take(&parts, UF_HOST, text);
    url->target = make_target(&parts, text);
    url->host_header = make_host_header(url);
    return true;
}

void http_url_deinit(struct http_url *url)
{
    mem_free(url->host);
    mem_free(url->target);
    mem_free(url->host_header);
    *url = (struct http_url){0};
}
