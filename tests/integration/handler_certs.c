/* See handler_certs.h. */
#include "handler_certs.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

static FILE *temporary(char path[64])
{
    snprintf(path, 64, "/tmp/oncegate-cert-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    return fdopen(fd, "w");
}

static void write_files(struct cert *cert)
{
    FILE *file = temporary(cert->cert_file);
    assert_int_equal(PEM_write_X509(file, cert->x509), 1);
    fclose(file);
    file = temporary(cert->key_file);
    assert_int_equal(PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

struct cert *cert_new(const char *name, const char *alt_name, const struct cert *issuer,
                      int days_from, int days_to)
{
    static long serial = 1;
    struct cert *cert = mem_zalloc(sizeof(*cert));
    X509 *x509 = X509_new();

    cert->key = EVP_EC_gen("P-256");
    cert->x509 = x509;
    assert_non_null(cert->key);
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x509), (long)days_from * 86400);
    X509_gmtime_adj(X509_getm_notAfter(x509), (long)days_to * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer ? issuer->x509 : x509));
    X509_set_pubkey(x509, cert->key);
    add_extension(x509, issuer ? issuer->x509 : x509, NID_basic_constraints,
                  issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (alt_name)
        add_extension(x509, x509, NID_subject_alt_name, alt_name);
    assert_true(X509_sign(x509, issuer ? issuer->key : cert->key, EVP_sha256()) > 0);
    write_files(cert);
    return cert;
}

void cert_free(struct cert **cert)
{
    if (!*cert)
        return;
    unlink((*cert)->cert_file);
    unlink((*cert)->key_file);
    EVP_PKEY_free((*cert)->key);
    X509_free((*cert)->x509);
    mem_free(*cert);
    *cert = NULL;
}

SSL_CTX *cert_server(const struct cert *cert, const struct cert *client_ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_int_equal(SSL_CTX_use_certificate(ctx, cert->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, cert->key), 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (client_ca) {
        assert_int_equal(SSL_CTX_load_verify_locations(ctx, client_ca->cert_file, NULL), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return ctx;
}
