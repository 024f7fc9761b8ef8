/*
 * TLS on the same sockets and the same state machine as plain connections, rather than through
 * libevent's bufferevents: one path for deadlines, resets, bounds and the retry on a stale
 * connection means that what is tested without TLS holds with it, and no output buffer copies
 * bodies.
 *
 * Reads and writes go through a BIO of our own, since OpenSSL's writes with write(2), which raises
 * SIGPIPE on a connection that the peer has closed.
 */
#include "handler/http_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

struct http_tls {
    SSL_CTX *ctx;
    BIO_METHOD *method;
    char *name; /* what the certificate must be for */
    bool name_is_ip;
};

struct http_tls_session {
    SSL *ssl;
};

static int bio_fd(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int bio_read(BIO *bio, char *data, int len)
{
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do {
        n = recv(bio_fd(bio), data, (size_t)len, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    if (n == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do {
        n = send(bio_fd(bio), data, (size_t)len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_write(bio);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

    if (method) {
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* The oldest error of OpenSSL's queue, which is nearest to the cause; empties the queue. */
static const char *reason(char *text, size_t size)
{
    unsigned long code = ERR_get_error();

    if (code == 0)
        return "connection closed";
    ERR_error_string_n(code, text, size);
    ERR_clear_error();
    const char *why = ERR_reason_error_string(code);
    return why ? why : text;
}

static bool load_files(SSL_CTX *ctx, const struct tls_config *config, struct err *err)
{
    char text[160];

    ERR_clear_error();
    if (config->ca_file ? SSL_CTX_load_verify_locations(ctx, config->ca_file, NULL) != 1
                        : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return err_set(err, ERR_CONFIG, "tls.ca_file %s: %s",
                       config->ca_file ? config->ca_file : "(the system's)",
                       reason(text, sizeof(text)));
    if (!config->cert_file && !config->key_file)
        return true;
    if (!config->cert_file || !config->key_file)
        return err_set(err, ERR_CONFIG, "tls.cert_file and tls.key_file need each other");
    if (SSL_CTX_use_certificate_chain_file(ctx, config->cert_file) != 1)
        return err_set(err, ERR_CONFIG, "tls.cert_file %s: %s", config->cert_file,
                       reason(text, sizeof(text)));
    if (SSL_CTX_use_PrivateKey_file(ctx, config->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return err_set(err, ERR_CONFIG, "tls.key_file %s: %s", config->key_file,
                       reason(text, sizeof(text)));
    return true;
}

struct http_tls *http_tls_new(const struct tls_config *config, const char *host, struct err *err)
{
    struct http_tls *tls = mem_zalloc(sizeof(*tls));
    unsigned char address[16];

    tls->name = mem_strdup(config->server_name ? config->server_name : host);
    tls->name_is_ip = inet_pton(AF_INET, tls->name, address) == 1 ||
                      inet_pton(AF_INET6, tls->name, address) == 1;
    tls->ctx = SSL_CTX_new(TLS_client_method());
    tls->method = make_method();
    if (!tls->ctx || !tls->method) {
        err_set(err, ERR_INTERNAL, "TLS cannot be set up: out of memory");
        goto failed;
    }
    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                   SSL_MODE_RELEASE_BUFFERS);
    if (load_files(tls->ctx, config, err))
        return tls;
failed:
    http_tls_free(&tls);
    return NULL;
}

void http_tls_free(struct http_tls **tls)
{
    if (!*tls)
        return;
    SSL_CTX_free((*tls)->ctx);
    BIO_meth_free((*tls)->method);
    mem_free((*tls)->name);
    mem_free(*tls);
    *tls = NULL;
}

static bool set_name(SSL *ssl, const struct http_tls *tls)
{
    if (tls->name_is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, tls->name) == 1 && SSL_set_tlsext_host_name(ssl, tls->name) == 1;
}

struct http_tls_session *http_tls_session_new(struct http_tls *tls, int fd, struct err *err)
{
    SSL *ssl = SSL_new(tls->ctx);
    BIO *bio = BIO_new(tls->method);

    if (!ssl || !bio || !set_name(ssl, tls)) {
        SSL_free(ssl);
        BIO_free(bio);
        err_set(err, ERR_INTERNAL, "TLS cannot be set up for %s", tls->name);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    struct http_tls_session *session = mem_zalloc(sizeof(*session));
    session->ssl = ssl;
    return session;
}

void http_tls_session_free(struct http_tls_session **session)
{
    if (!*session)
        return;
    if (SSL_is_init_finished((*session)->ssl)) {
        ERR_clear_error();
        SSL_shutdown((*session)->ssl);
    }
    SSL_free((*session)->ssl);
    ERR_clear_error();
    mem_free(*session);
    *session = NULL;
}

static enum http_tls_result result_of(SSL *ssl, int ret)
{
    switch (SSL_get_error(ssl, ret)) {
    case SSL_ERROR_NONE:
        return HTTP_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return HTTP_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return HTTP_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return HTTP_TLS_CLOSED;
    default:
        return HTTP_TLS_FAILED;
    }
}

enum http_tls_result http_tls_handshake(struct http_tls_session *session, struct err *err)
{
    char text[160];

    ERR_clear_error();
    enum http_tls_result result = result_of(session->ssl, SSL_do_handshake(session->ssl));
    if (result != HTTP_TLS_FAILED && result != HTTP_TLS_CLOSED)
        return result;
    long verified = SSL_get_verify_result(session->ssl);
    if (verified != X509_V_OK)
        err_set(err, ERR_UNAVAILABLE, "certificate refused: %s",
                X509_verify_cert_error_string(verified));
    else
        err_set(err, ERR_UNAVAILABLE, "handshake: %s", reason(text, sizeof(text)));
    return HTTP_TLS_FAILED;
}

static int bounded(size_t len)
{
    return len < INT_MAX ? (int)len : INT_MAX;
}

enum http_tls_result http_tls_read(struct http_tls_session *session, void *data, size_t len,
                                   size_t *done)
{
    ERR_clear_error();
    int n = SSL_read(session->ssl, data, bounded(len));
    *done = n > 0 ? (size_t)n : 0;
    return n > 0 ? HTTP_TLS_DONE : result_of(session->ssl, n);
}

enum http_tls_result http_tls_write(struct http_tls_session *session, const void *data, size_t len,
                                    size_t *done)
{
    ERR_clear_error();
    int n = SSL_write(session->ssl, data, bounded(len));
    *done = n > 0 ? (size_t)n : 0;
    return n > 0 ? HTTP_TLS_DONE : result_of(session->ssl, n);
}

uint64_t http_tls_written(const struct http_tls_session *session)
{
    return BIO_number_written(SSL_get_wbio(session->ssl));
}
