/* How a connection to the handler comes about; private to this folder. */
#ifndef OG_HANDLER_HTTP_CONNECT_H
#define OG_HANDLER_HTTP_CONNECT_H

#include <stdint.h>

#include "handler/http_conn.h"

/* Begins to resolve and connect for the call. */
void http_connect_start(struct handler_conn *conn, struct handler_call *call);
/* The look-up ended; no matter to a connection that did not wait for it. */
void http_connect_on_resolved(struct handler_conn *conn);
/* The socket of a CONNECTING one is ready: connected, or error (an errno). */
void http_connect_on_socket(struct handler_conn *conn, int error);
/* A HANDSHAKE may go on. */
void http_connect_handshake(struct handler_conn *conn);
/* due_ns has come for one that is RESOLVING, CONNECTING or HANDSHAKE. */
void http_connect_on_due(struct handler_conn *conn, uint64_t now_ns);

#endif
