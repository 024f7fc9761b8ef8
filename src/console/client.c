/*
 * A console as its callers see it; see client.h. The socket does not block: every wait is a poll
 * that ends with the request's time. What answers is bounded and need not be a console.
 *
 * Must not: say the token anywhere, nor send it where others could read it.
 */
#include "console/client.h"

#include <errno.h>
#include <fcntl.h>
#include <http_parser.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "handler/http_tls.h"
#include "handler/http_url.h"
#include "record/json_field.h"

#define ANSWER_MAX ((size_t)256 << 20)
#define TOKEN_MAX  4096

struct console_client {
    struct http_url url;
    char *token; /* NULL: none */
    struct http_tls *tls;
    int64_t timeout_ms;
};

/* One request on its connection. */
struct asking {
    struct console_client *client;
    int fd;
    struct http_tls_session *tls; /* NULL: plain */
    uint64_t due_ns;
    struct http_parser parser;
    const struct console_client_request *request;
    struct buf *body;
    bool whole, too_large, stopped;
};

/* ---- making ---- */

static bool is_this_machine(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "127.", 4) == 0;
}

static bool is_token(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return text[0] != '\0';
}

static bool read_token(struct console_client *client, const char *file, struct err *err)
{
    char line[TOKEN_MAX] = "";
    FILE *stream = fopen(file, "re");
    if (!stream)
        return err_set(err, errno == EACCES ? ERR_DENIED : ERR_NO_FILE, "token file %s: %s", file,
                       strerror(errno));
    if (!fgets(line, sizeof(line), stream))
        line[0] = '\0';
    fclose(stream);
    line[strcspn(line, "\r\n")] = '\0';
    if (!is_token(line))
        return err_set(err, ERR_CONFIG, "token file %s: its first line is no token", file);
    if (!client->url.tls && !is_this_machine(client->url.host))
        return err_set(err, ERR_USAGE,
                       "the token would go to %s for everybody to read: give the console's https "
                       "address",
                       client->url.host);
    client->token = mem_strdup(line);
    return true;
}

static bool set_up(struct console_client *client, const struct console_client_options *options,
                   struct err *err)
{
    struct tls_config tls = {.ca_file = (char *)(uintptr_t)options->ca_file};
    size_t len;
    if (!http_url_parse(&client->url, options->url, err)) {
        err->code = ERR_USAGE;
        return err_prefix(err, "the console's address");
    }
    len = strlen(client->url.target);
    while (len > 0 && client->url.target[len - 1] == '/')
        client->url.target[--len] = '\0';
    if (client->url.tls)
        client->tls = http_tls_new(&tls, client->url.host, err);
    return (!client->url.tls || client->tls) &&
           (!options->token_file || read_token(client, options->token_file, err));
}

struct console_client *console_client_new(const struct console_client_options *options,
                                          struct err *err)
{
    struct console_client *client = mem_zalloc(sizeof(*client));
    client->timeout_ms = options->timeout_ms;
    if (!set_up(client, options, err))
        console_client_free(&client);
    return client;
}

void console_client_free(struct console_client **pointer)
{
    struct console_client *client = *pointer;
    if (!client)
        return;
    *pointer = NULL;
    http_tls_free(&client->tls);
    http_url_deinit(&client->url);
    mem_free(client->token);
    mem_free(client);
}

/* ---- the connection ---- */

static bool late(const struct asking *asking, struct err *err)
{
    return err_set_retriable(err, ERR_UNAVAILABLE, "the console at %s does not answer in time",
                             asking->client->url.host_header);
}

static bool lost(const struct asking *asking, const char *why, struct err *err)
{
    return err_set_retriable(err, ERR_UNAVAILABLE,
                             "the console at %s cannot be reached: %s; leave --console out to do "
                             "without it",
                             asking->client->url.host_header, why);
}

static bool wait_for(const struct asking *asking, short events, struct err *err)
{
    struct pollfd fd = {asking->fd, events, 0};
    uint64_t now = clock_mono_ns();
    int ready;
    do {
        int64_t left = now < asking->due_ns ? (int64_t)((asking->due_ns - now) / NS_PER_MS) + 1 : 0;
        ready = poll(&fd, 1, (int)left);
        now = clock_mono_ns();
    } while (ready < 0 && errno == EINTR && now < asking->due_ns);
    return ready > 0 || late(asking, err);
}

static bool connect_to(struct asking *asking, const struct addrinfo *to, struct err *err)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    asking->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (asking->fd < 0)
        return lost(asking, strerror(errno), err);
    if (connect(asking->fd, to->ai_addr, to->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return lost(asking, strerror(errno), err);
    if (!wait_for(asking, POLLOUT, err))
        return false;
    if (getsockopt(asking->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    return failure == 0 || lost(asking, strerror(failure), err);
}

static void hang_up(struct asking *asking)
{
    http_tls_session_free(&asking->tls);
    if (asking->fd >= 0)
        close(asking->fd);
    asking->fd = -1;
}

/* Each address in turn. */
static bool open_socket(struct asking *asking, struct err *err)
{
    const struct http_url *url = &asking->client->url;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[8];
    bool ok = false;
    int code;
    snprintf(port, sizeof(port), "%u", (unsigned)url->port);
    code = getaddrinfo(url->host, port, &hints, &found);
    if (code != 0)
        return lost(asking, gai_strerror(code), err);
    for (const struct addrinfo *to = found; to && !ok; to = to->ai_next) {
        hang_up(asking);
        ok = connect_to(asking, to, err);
    }
    freeaddrinfo(found);
    return ok;
}

/* What a TLS call wants before it is made again; false: it has failed. */
static bool want(struct asking *asking, enum http_tls_result result, struct err *err)
{
    if (result == HTTP_TLS_WANT_READ)
        return wait_for(asking, POLLIN, err);
    if (result == HTTP_TLS_WANT_WRITE)
        return wait_for(asking, POLLOUT, err);
    return err->code != ERR_NONE
               ? err_prefix(err, "the console at %s", asking->client->url.host_header)
               : lost(asking, "it closed the connection", err);
}

static bool open_connection(struct asking *asking, struct err *err)
{
    enum http_tls_result result;
    if (!open_socket(asking, err))
        return false;
    *err = (struct err){0}; /* of an address before */
    if (!asking->client->tls)
        return true;
    asking->tls = http_tls_session_new(asking->client->tls, asking->fd, err);
    if (!asking->tls)
        return false;
    while ((result = http_tls_handshake(asking->tls, err)) != HTTP_TLS_DONE) {
        if (!want(asking, result, err))
            return false;
    }
    return true;
}

static bool send_all(struct asking *asking, struct slice bytes, struct err *err)
{
    while (bytes.len > 0) {
        size_t done = 0;
        if (asking->tls) {
            enum http_tls_result result = http_tls_write(asking->tls, bytes.data, bytes.len, &done);
            if (result != HTTP_TLS_DONE && !want(asking, result, err))
                return false;
        } else {
            ssize_t n = send(asking->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return lost(asking, strerror(errno), err);
            if (n < 0 && !wait_for(asking, POLLOUT, err))
                return false;
            done = n > 0 ? (size_t)n : 0;
        }
        bytes.data += done;
        bytes.len -= done;
    }
    return true;
}

/* *len 0: the end. */
static bool receive(struct asking *asking, char *data, size_t size, size_t *len, struct err *err)
{
    for (;;) {
        *len = 0;
        if (asking->tls) {
            enum http_tls_result result = http_tls_read(asking->tls, data, size, len);
            if (result == HTTP_TLS_DONE || result == HTTP_TLS_CLOSED)
                return true;
            if (!want(asking, result, err))
                return false;
        } else {
            ssize_t n = recv(asking->fd, data, size, 0);
            *len = n > 0 ? (size_t)n : 0;
            if (n >= 0)
                return true;
            if (errno != EAGAIN && errno != EINTR)
                return lost(asking, strerror(errno), err);
            if (!wait_for(asking, POLLIN, err))
                return false;
        }
    }
}

/* ---- the answer ---- */

static bool is_taken(const struct asking *asking)
{
    return asking->request->take && asking->parser.status_code / 100 == 2;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct asking *asking = parser->data;
    if (is_taken(asking)) {
        asking->stopped = !asking->request->take(asking->request->arg, (struct slice){at, len});
        return asking->stopped;
    }
    asking->too_large = asking->body->len + len > ANSWER_MAX;
    if (!asking->too_large)
        buf_add(asking->body, at, len);
    return asking->too_large;
}

static int on_complete(http_parser *parser)
{
    struct asking *asking = parser->data;
    asking->whole = true;
    return 0;
}

static void give_time(struct asking *asking)
{
    asking->due_ns = clock_mono_ns() + (uint64_t)asking->client->timeout_ms * NS_PER_MS;
}

/* Why it is not whole. */
static bool broken_off(const struct asking *asking, struct err *err)
{
    const char *host = asking->client->url.host_header;
    if (asking->too_large)
        return err_set(err, ERR_LIMIT, "the console's answer is too large: ask for less");
    if (asking->stopped)
        return err_set(err, ERR_CANCELLED, "nobody takes the console's answer");
    if (is_taken(asking))
        return err_set_retriable(err, ERR_UNAVAILABLE, "the answer of the console at %s broke off",
                                 host);
    return err_set(err, ERR_UNAVAILABLE, "what listens at %s does not answer like a console", host);
}

static bool read_answer(struct asking *asking, struct err *err)
{
    http_parser_settings settings;
    char chunk[16384];
    size_t len;
    http_parser_settings_init(&settings);
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    http_parser_init(&asking->parser, HTTP_RESPONSE);
    asking->parser.data = asking;
    do {
        if (!receive(asking, chunk, sizeof(chunk), &len, err))
            return false;
        if (http_parser_execute(&asking->parser, &settings, chunk, len) != len || len == 0)
            break;
        if (is_taken(asking))
            give_time(asking);
    } while (!asking->whole);
    return asking->whole || broken_off(asking, err);
}

/* ---- what it means ---- */

struct meaning {
    int status;
    enum err_code code;
    const char *advice; /* behind the console's own words */
};

static const struct meaning meanings[] = {
    {400, ERR_USAGE, ""},
    {401, ERR_DENIED,
     "; --token-file (or $ONCEGATE_CONSOLE_TOKEN_FILE) names the file with your token"},
    {403, ERR_DENIED,
     "; ask for a token of a higher role, or for console.allow_changes where nothing may be "
     "changed"},
    {404, ERR_NO_FILE, ""},
    {409, ERR_INPUT, ""},
    {413, ERR_LIMIT, "; console.limits.body says how much it takes"},
    {421, ERR_CONFIG, "; console.hosts names what a console is called"},
    {503, ERR_AGAIN, "; try again, or leave --console out to do without it"},
};

/* What a console says of itself, as letters only. */
static void read_words(const struct asking *asking, char words[300])
{
    struct json_field detail = {.pointer = "/detail"};
    struct buf store = {0};
    struct slice text;
    words[0] = '\0';
    buf_reserve(&store, asking->body->len + 1);
    if (asking->body->len > 0 && json_find(buf_slice(asking->body), &detail, 1) &&
        detail.kind == JSON_STRING && json_string_bytes(detail.raw, &store, &text))
        (void)str_copy(words, 300, text);
    for (char *c = words; *c; c++)
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    buf_deinit(&store);
}

static bool explain(const struct asking *asking, struct err *err)
{
    struct meaning meaning = {0, ERR_UNAVAILABLE, ""};
    int status = asking->parser.status_code;
    char words[300];
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        if (meanings[i].status == status)
            meaning = meanings[i];
    }
    read_words(asking, words);
    return err_set(err, meaning.code, "the console says %d%s%s%s", status, words[0] ? ": " : "",
                   words, meaning.advice);
}

static void add_request(const struct console_client *client,
                        const struct console_client_request *request, struct buf *out)
{
    bool post = !slice_is_null(request->body);
    buf_printf(out,
               "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
               "Accept: application/json\r\n",
               post ? "POST" : "GET", client->url.target, request->path, client->url.host_header);
    if (client->token)
        buf_printf(out, "Authorization: Bearer %s\r\n", client->token);
    if (post)
        buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                   request->type ? request->type : "application/json", request->body.len);
    buf_add_text(out, "\r\n");
    buf_add_slice(out, request->body);
}

bool console_client_send(struct console_client *client,
                         const struct console_client_request *request, struct buf *answer,
                         int *status, struct err *err)
{
    struct asking asking = {.client = client, .fd = -1, .request = request, .body = answer};
    struct buf text = {0};
    bool ok;
    *err = (struct err){0};
    buf_reset(answer);
    add_request(client, request, &text);
    give_time(&asking);
    ok = open_connection(&asking, err) && send_all(&asking, buf_slice(&text), err) &&
         read_answer(&asking, err);
    hang_up(&asking);
    buf_deinit(&text);
    if (status)
        *status = ok ? asking.parser.status_code : 0;
    return ok && (asking.parser.status_code / 100 == 2 || explain(&asking, err));
}

bool console_client_ask(struct console_client *client, const char *path, struct slice body,
                        struct buf *answer, int *status, struct err *err)
{
    struct console_client_request request = {.path = path, .body = body};
    return console_client_send(client, &request, answer, status, err);
}

/* ---- addresses ---- */

static void add_encoded(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("-._~", c));
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

void console_client_add_param(struct buf *path, const char *name, struct slice value)
{
    bool first = !path->data || !strchr(path->data, '?');
    buf_printf(path, "%c%s=", first ? '?' : '&', name);
    add_encoded(path, value);
}

void console_client_add_segment(struct buf *path, struct slice value)
{
    buf_add_char(path, '/');
    add_encoded(path, value);
}
