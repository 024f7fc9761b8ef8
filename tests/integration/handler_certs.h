/* Certificates made for one test run: an authority, and servers and clients signed by it. */
#ifndef INTEGRATION_HANDLER_CERTS_H
#define INTEGRATION_HANDLER_CERTS_H

#include <openssl/ssl.h>

struct cert {
    EVP_PKEY *key;
    X509 *x509;
    char cert_file[64]; /* PEM in /tmp */
    char key_file[64];
};

/* alt_name: e.g. "DNS:localhost" or "IP:127.0.0.1", or NULL. issuer NULL: signs itself, an
 * authority. days_from, days_to: validity from now. */
struct cert *cert_new(const char *name, const char *alt_name, const struct cert *issuer,
                      int days_from, int days_to);
void cert_free(struct cert **cert);

/* A server's context with that certificate. client_ca: wants a client certificate signed by it. */
SSL_CTX *cert_server(const struct cert *cert, const struct cert *client_ca);

#endif
