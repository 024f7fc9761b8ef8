/*
 * TLS for Redis, with OpenSSL's own context: hiredis' wrapper verifies the chain but not the host's
 * name.
 */
#include "ledger/tls.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/mem.h"

struct tls {
    SSL_CTX *ctx;
};

static bool fail(struct err *err, const char *what, const char *file)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return err_set(err, ERR_CONFIG, "redis.tls: %s %s: %s", what, file ? file : "", text);
}

static bool load(SSL_CTX *ctx, const struct tls_config *config, struct err *err)
{
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION))
        return fail(err, "protocol", NULL);
    if (config->ca_file ? SSL_CTX_load_verify_locations(ctx, config->ca_file, NULL) != 1
                        : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return fail(err, "authorities of", config->ca_file);
    if (config->cert_file && SSL_CTX_use_certificate_chain_file(ctx, config->cert_file) != 1)
        return fail(err, "certificate", config->cert_file);
    if (config->key_file &&
        SSL_CTX_use_PrivateKey_file(ctx, config->key_file, SSL_FILETYPE_PEM) != 1)
        return fail(err, "key", config->key_file);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return true;
}

struct tls *tls_new(const struct tls_config *config, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) {
        fail(err, "context", NULL);
        return NULL;
    }
    if (!load(ctx, config, err)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    struct tls *tls = mem_zalloc(sizeof(*tls));
    tls->ctx = ctx;
    return tls;
}

void tls_free(struct tls **tls)
{
    if (!*tls)
        return;
    SSL_CTX_free((*tls)->ctx);
    mem_free(*tls);
    *tls = NULL;
}

static bool name_peer(SSL *ssl, const char *name)
{
    unsigned char address[16];
    if (!name)
        return true;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

bool tls_start(struct tls *tls, struct tls_link *link, struct redisContext *context,
               const char *name, struct err *err)
{
    SSL *ssl = SSL_new(tls->ctx);
    if (!ssl)
        return fail(err, "session", NULL);
    if (!name_peer(ssl, name)) {
        SSL_free(ssl);
        return fail(err, "server name", name);
    }
    /* hiredis owns ssl from here where it succeeds. */
    if (redisInitiateSSL(context, ssl) != REDIS_OK) {
        SSL_free(ssl);
        return err_set_retriable(err, ERR_UNAVAILABLE, "TLS: %s", context->errstr);
    }
    link->ssl = ssl;
    return true;
}

const char *tls_why(struct tls_link *link)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    long verified = link->ssl ? SSL_get_verify_result(link->ssl) : X509_V_OK;
    ERR_clear_error();
    if (verified != X509_V_OK)
        snprintf(link->why, sizeof(link->why), "certificate verify failed: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(link->why, sizeof(link->why), "TLS: %s", reason ? reason : "");
    return verified != X509_V_OK || reason ? link->why : NULL;
}

void tls_forget(struct tls_link *link)
{
    link->ssl = NULL;
}
