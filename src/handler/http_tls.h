/*
 * TLS for connections to the handler: OpenSSL on the connection's own non-blocking socket. It never
 * raises SIGPIPE. The peer is always verified, by chain and by name.
 */
#ifndef OG_HANDLER_HTTP_TLS_H
#define OG_HANDLER_HTTP_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/config.h"

struct http_tls;         /* what all connections to one handler share */
struct http_tls_session; /* one connection's */

/* Reads the files. host: the URL's, for verification and SNI unless config->server_name is set. */
struct http_tls *http_tls_new(const struct tls_config *config, const char *host,
                              struct err *err) MUST_CHECK;
void http_tls_free(struct http_tls **tls);

/* fd stays the caller's and must outlive the session. */
struct http_tls_session *http_tls_session_new(struct http_tls *tls, int fd,
                                              struct err *err) MUST_CHECK;
/* Tries to tell the peer, without waiting. */
void http_tls_session_free(struct http_tls_session **session);

enum http_tls_result {
    HTTP_TLS_DONE,
    HTTP_TLS_WANT_READ,
    HTTP_TLS_WANT_WRITE,
    HTTP_TLS_CLOSED, /* the peer said that it ends */
    HTTP_TLS_FAILED, /* closed without a word, reset, or not TLS */
};
enum http_tls_result http_tls_handshake(struct http_tls_session *session, struct err *err);
/* DONE: *done bytes were taken or came (at least one). */
enum http_tls_result http_tls_read(struct http_tls_session *session, void *data, size_t len,
                                   size_t *done);
/* After a WANT the same bytes must be offered again; they may stand elsewhere and more may follow.
 */
enum http_tls_result http_tls_write(struct http_tls_session *session, const void *data, size_t len,
                                    size_t *done);

/* Bytes that left on the session, its handshake and framing counted. */
uint64_t http_tls_written(const struct http_tls_session *session);

#endif
