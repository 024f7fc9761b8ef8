/*
 * TLS of the server: 1.2 and later, no renegotiation, no client certificates, no tickets (a restart
 * makes sessions anew). A connection whose session cannot be made is closed, never served without.
 */
#include <event2/bufferevent_ssl.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "console/server_conn.h"

/* The oldest error of OpenSSL's queue, which is nearest to the cause; empties the queue. */
static const char *reason(void)
{
    unsigned long code = ERR_get_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return why ? why : "not readable";
}

struct ssl_ctx_st *server_tls_new(const char *cert_file, const char *key_file, struct err *err)
{
    SSL_CTX *ctx;
    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        (void)err_set(err, ERR_INTERNAL, "console.tls: %s", reason());
    } else if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        (void)err_set(err, ERR_CONFIG, "console.tls.cert_file %s: %s", cert_file, reason());
    } else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
               SSL_CTX_check_private_key(ctx) != 1) {
        (void)err_set(err, ERR_CONFIG, "console.tls.key_file %s: %s", key_file, reason());
    } else {
        SSL_CTX_set_options(ctx,
                            SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

void server_tls_free(struct ssl_ctx_st **ctx)
{
    SSL_CTX_free(*ctx);
    *ctx = NULL;
}

struct bufferevent *server_tls_accept(struct ssl_ctx_st *ctx, struct loop *loop, int fd)
{
    SSL *ssl = SSL_new(ctx);
    struct bufferevent *bev;
    if (!ssl)
        return NULL;
    /* With BEV_OPT_CLOSE_ON_FREE the session is freed with the bufferevent. */
    bev = bufferevent_openssl_socket_new(loop_base(loop), fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}
