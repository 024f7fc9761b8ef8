/*
 * See guard.h. Tokens are kept as hashes of the whole text: comparing takes as long whatever is
 * wrong with a token, its length included, and all are compared each time.
 *
 * Must not: log or repeat a token, or say which check of the credentials failed.
 */
#include "console/guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "config/secret_file.h"

#define TOKEN_MIN       20
#define TOKENS_MAX      64
#define CREDENTIALS_MAX 1024

struct token {
    enum role role;
    char hash[SHA256_HEX_MAX];
};

struct guard {
    const struct console_config *config;
    struct token tokens[TOKENS_MAX];
    size_t token_count;
    bool needs_credentials;
};

const char *role_name(enum role role)
{
    static const char *const names[] = {"none", "viewer", "operator", "admin"};
    return names[role];
}

bool role_parse(struct slice text, enum role *role)
{
    for (enum role at = ROLE_VIEWER; at <= ROLE_ADMIN; at++) {
        if (slice_equal_text(text, role_name(at))) {
            *role = at;
            return true;
        }
    }
    return false;
}

static bool add_token(struct guard *guard, enum role role, const char *path, struct slice text,
                      struct err *err)
{
    struct token *token = &guard->tokens[guard->token_count];
    if (text.len == 0)
        return true;
    if (text.len < TOKEN_MIN)
        return err_set(err, ERR_CONFIG,
                       "%s: a token of %zu characters can be guessed: at least %d, for example "
                       "from `openssl rand -hex 24`",
                       path, text.len, TOKEN_MIN);
    if (guard->token_count == TOKENS_MAX)
        return err_set(err, ERR_CONFIG, "%s: more than %d tokens", path, TOKENS_MAX);
    token->role = role;
    sha256_hex(text, token->hash);
    for (size_t i = 0; i < guard->token_count; i++) {
        if (memcmp(guard->tokens[i].hash, token->hash, SHA256_HEX_MAX) == 0)
            return err_set(err, ERR_CONFIG, "%s: one of its tokens stands twice", path);
    }
    guard->token_count++;
    return true;
}

/* One token on each line, so that a new one can be given out before the old one goes. */
static bool read_tokens(struct guard *guard, enum role role, const char *path, struct err *err)
{
    char *text = NULL;
    bool ok = true;
    if (!path)
        return true;
    if (!secret_file_read(path, &text, err))
        return err_prefix(err, "console.tokens");
    for (char *line = text; ok && line;) {
        char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            len--;
        ok = add_token(guard, role, path, (struct slice){line, len}, err);
        line = end ? end + 1 : NULL;
    }
    explicit_bzero(text, strlen(text));
    mem_free(text);
    return ok;
}

struct guard *guard_new(const struct console_config *config, struct err *err)
{
    struct guard *guard = mem_zalloc(sizeof(*guard));
    bool any_file = config->tokens.viewer_file || config->tokens.operator_file ||
                    config->tokens.admin_file;
    guard->config = config;
    guard->needs_credentials = any_file || config->proxy.address_count > 0;
    if (!read_tokens(guard, ROLE_VIEWER, config->tokens.viewer_file, err) ||
        !read_tokens(guard, ROLE_OPERATOR, config->tokens.operator_file, err) ||
        !read_tokens(guard, ROLE_ADMIN, config->tokens.admin_file, err))
        guard_free(&guard);
    else if (any_file && guard->token_count == 0) {
        (void)err_set(err, ERR_CONFIG, "console.tokens: the files hold no token");
        guard_free(&guard);
    }
    /* Checked by `oncegate check` already; here since all depends on it. */
    else if (!guard->needs_credentials && !config_is_loopback(config->listen.host)) {
        (void)err_set(err, ERR_CONFIG,
                      "console.listen: beyond loopback only with console.tokens or "
                      "console.trusted_proxy");
        guard_free(&guard);
    }
    return guard;
}

void guard_free(struct guard **guard)
{
    if (!*guard)
        return;
    explicit_bzero(*guard, sizeof(**guard));
    mem_free(*guard);
    *guard = NULL;
}

static bool refuse(struct guard_no *no, int status, const char *detail)
{
    *no = (struct guard_no){status, detail, status == 401};
    return false;
}

/* ---- host ---- */

/* Without port and brackets. */
static bool host_name(struct slice value, char *out, size_t size)
{
    const char *end;
    if (value.len > 0 && value.data[0] == '[') {
        end = memchr(value.data, ']', value.len);
        if (!end)
            return false;
        return str_copy(out, size, (struct slice){value.data + 1, (size_t)(end - value.data) - 1});
    }
    end = value.len ? memchr(value.data, ':', value.len) : NULL;
    return str_copy(out, size,
                    (struct slice){value.data, end ? (size_t)(end - value.data) : value.len});
}

static bool host_is_ours(const struct guard *guard, struct slice value)
{
    char host[256];
    unsigned char address[sizeof(struct in6_addr)];
    if (!host_name(value, host, sizeof(host)) || memchr(value.data, '\0', value.len))
        return false;
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ||
        strcasecmp(host, "localhost") == 0 || strcasecmp(host, guard->config->listen.host) == 0)
        return true;
    for (size_t i = 0; i < guard->config->host_count; i++) {
        if (strcasecmp(host, guard->config->hosts[i]) == 0)
            return true;
    }
    return false;
}

/* ---- who ---- */

static enum role role_of_token(const struct guard *guard, struct slice text)
{
    enum role role = ROLE_NONE;
    char hash[SHA256_HEX_MAX];
    sha256_hex(text, hash);
    for (size_t i = 0; i < guard->token_count; i++) {
        unsigned char differs = 0;
        for (size_t k = 0; k < SHA256_HEX_MAX; k++)
            differs |= (unsigned char)(hash[k] ^ guard->tokens[i].hash[k]);
        if (differs == 0)
            role = guard->tokens[i].role;
    }
    return role;
}

/* A name goes into logs and the audit log: visible ASCII only. */
static bool take_user(struct guard_pass *pass, struct slice name)
{
    if (name.len == 0 || name.len >= GUARD_USER_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    }
    return str_copy(pass->user, GUARD_USER_MAX, name);
}

static bool has_scheme(struct slice *value, const char *scheme)
{
    size_t len = strlen(scheme);
    if (value->len <= len || strncasecmp(value->data, scheme, len) != 0 || value->data[len] != ' ')
        return false;
    value->data += len + 1;
    value->len -= len + 1;
    return true;
}

/* "Bearer TOKEN", or "Basic name:TOKEN", which a browser asks a person for and sends with event
 * streams too. The name is only a name: it is what the audit log says. */
static bool by_token(const struct guard *guard, struct slice value, struct guard_pass *pass)
{
    struct buf plain = {0};
    struct slice token = value;
    bool ok = true;
    if (value.len > CREDENTIALS_MAX)
        return false;
    if (has_scheme(&token, "Bearer")) {
        pass->role = role_of_token(guard, token);
        (void)str_copy(pass->user, GUARD_USER_MAX, SLICE_LIT("token"));
    } else if (has_scheme(&token, "Basic") && base64_decode(&plain, token) && plain.len > 0) {
        const char *colon = memchr(plain.data, ':', plain.len);
        struct slice name = {plain.data, colon ? (size_t)(colon - plain.data) : 0};
        ok = colon && take_user(pass, name);
        if (colon)
            pass->role = role_of_token(guard, (struct slice){colon + 1, plain.len - name.len - 1});
    }
    if (plain.data)
        explicit_bzero(plain.data, plain.len);
    buf_deinit(&plain);
    return ok && pass->role != ROLE_NONE;
}

static bool is_trusted_peer(const struct guard *guard, const char *peer)
{
    for (size_t i = 0; i < guard->config->proxy.address_count; i++) {
        if (strcmp(guard->config->proxy.addresses[i], peer) == 0)
            return true;
    }
    return false;
}

/* What the proxy says of the user counts from its address only; from any other the headers are
 * those of whoever sent them. */
static bool by_proxy(const struct guard *guard, const struct console_request *req,
                     struct guard_pass *pass)
{
    const char *user = guard->config->proxy.user_header;
    const char *role = guard->config->proxy.role_header;
    return is_trusted_peer(guard, req->peer) && request_header_times(req, user) == 1 &&
           request_header_times(req, role) == 1 && take_user(pass, request_header(req, user)) &&
           role_parse(request_header(req, role), &pass->role);
}

static bool identify(const struct guard *guard, const struct console_request *req,
                     struct guard_pass *pass)
{
    struct slice authorization = request_header(req, "Authorization");
    *pass = (struct guard_pass){0};
    if (!guard->needs_credentials) {
        pass->role = ROLE_ADMIN;
        return take_user(pass, SLICE_LIT("local"));
    }
    if (request_header_times(req, "Authorization") == 1)
        return by_token(guard, authorization, pass);
    return by_proxy(guard, req, pass);
}

/* ---- on behalf of whom ---- */

/* "https://host:port" of the page must be where the request went. */
static bool is_same_origin(const struct guard *guard, const struct console_request *req,
                           struct slice origin)
{
    struct slice host = request_header(req, "Host");
    struct slice scheme = req->tls ? SLICE_LIT("https://") : SLICE_LIT("http://");
    if (!slice_starts_with(origin, scheme) && !is_trusted_peer(guard, req->peer))
        return false;
    const char *at = origin.len > 3 ? memmem(origin.data, origin.len, "://", 3) : NULL;
    if (!at)
        return false;
    struct slice rest = {at + 3, origin.len - (size_t)(at + 3 - origin.data)};
    return rest.len == host.len && strncasecmp(rest.data, host.data, rest.len) == 0;
}

static bool is_for_another_site(const struct guard *guard, const struct console_request *req,
                                bool changes)
{
    struct slice site = request_header(req, "Sec-Fetch-Site");
    struct slice origin = request_header(req, "Origin");
    bool typed = !changes && slice_equal_text(site, "none"); /* the address bar */
    if (!slice_is_null(site) && !typed && !slice_equal_text(site, "same-origin"))
        return true;
    return !slice_is_null(origin) && !is_same_origin(guard, req, origin);
}

static const char json[] = "application/json";

static bool is_type(struct slice type, const char *wanted)
{
    size_t len = strlen(wanted);
    return type.len >= len && strncasecmp(type.data, wanted, len) == 0 &&
           (type.len == len || type.data[len] == ';' || type.data[len] == ' ');
}

bool guard_check(const struct guard *guard, const struct console_request *req,
                 const struct guard_need *need, struct guard_pass *pass, struct guard_no *no)
{
    const char *type = need->body ? need->body : need->changes ? json : NULL;
    *pass = (struct guard_pass){0};
    if (need->role == ROLE_NONE && !need->changes)
        return true;
    if (!host_is_ours(guard, request_header(req, "Host")))
        return refuse(no, 421,
                      "this name is not one of the console's: use its address, or add the name to "
                      "console.hosts");
    if (is_for_another_site(guard, req, need->changes))
        return refuse(no, 403, "not on behalf of another site");
    if (!identify(guard, req, pass))
        return refuse(no, 401, "a token is needed that this console knows");
    if (pass->role < need->role)
        return refuse(no, 403, "this needs a higher role");
    if (need->changes && !guard->config->allow_changes)
        return refuse(no, 403, "nothing can be changed here: console.allow_changes is false");
    if (type && !is_type(request_header(req, "Content-Type"), type))
        return refuse(no, 415,
                      type == json ? "the body must be application/json"
                                   : "the body must be of the media type that the document names");
    return true;
}
