/*
 * Signs "<id>.<timestamp>.<body>" with HMAC-SHA256, once per secret: while a secret is rotated the
 * handler accepts either. The keyed contexts are made once; a request only starts them again.
 */
#include "handler/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sha256.h"

#define SECRET_MAX   1024
#define SHA256_BYTES 32
#define ID_HEX       40 /* 160 bits of the hash: no two records share them */

struct webhook_signer {
    EVP_MAC *mac;
    EVP_MAC_CTX **keyed;
    size_t count;
};

/* Reads a file of at most SECRET_MAX bytes; -1 and *err otherwise. */
static ssize_t read_secret(const char *file, unsigned char out[SECRET_MAX + 1], struct err *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set(err, ERR_CONFIG, "sign_secret_files: %s: %s", file, strerror(errno));
        return -1;
    }
    ssize_t len = 0, n;
    do {
        n = read(fd, out + len, (size_t)(SECRET_MAX + 1 - len));
        len += n > 0 ? n : 0;
    } while (n > 0 && len <= SECRET_MAX);
    close(fd);
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
        len--;
    if (n < 0 || len == 0 || len > SECRET_MAX) {
        err_set(err, ERR_CONFIG, "sign_secret_files: %s: %s", file,
                n < 0      ? strerror(errno)
                : len == 0 ? "is empty"
                           : "is longer than 1024 bytes");
        return -1;
    }
    return len;
}

/* whsec_<base64> -> bytes, in place. -1 where it is no base64. */
static ssize_t decode_secret(unsigned char *secret, ssize_t len)
{
    static const char prefix[] = "whsec_";
    unsigned char decoded[SECRET_MAX];
    const ssize_t skip = sizeof(prefix) - 1;

    if (len < skip || memcmp(secret, prefix, sizeof(prefix) - 1) != 0)
        return len;
    const unsigned char *text = secret + skip;
    ssize_t text_len = len - skip;
    if (text_len == 0 || text_len % 4 != 0)
        return -1;
    int padding = (text[text_len - 1] == '=') + (text[text_len - 2] == '=');
    int decoded_len = EVP_DecodeBlock(decoded, text, (int)text_len);
    if (decoded_len <= padding)
        return -1;
    decoded_len -= padding; /* it decodes the padding to zeros */
    memcpy(secret, decoded, (size_t)decoded_len);
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return decoded_len;
}

static bool add_secret(struct webhook_signer *signer, const char *file, struct err *err)
{
    unsigned char secret[SECRET_MAX + 1];
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    bool ok = false;
    ssize_t len = read_secret(file, secret, err);
    if (len < 0)
        return false;
    len = decode_secret(secret, len);
    if (len < 0) {
        err_set(err, ERR_CONFIG, "sign_secret_files: %s: no base64 behind whsec_", file);
        goto out;
    }
    EVP_MAC_CTX *keyed = EVP_MAC_CTX_new(signer->mac);
    if (!keyed || EVP_MAC_init(keyed, secret, (size_t)len, params) != 1) {
        EVP_MAC_CTX_free(keyed);
        err_set(err, ERR_INTERNAL, "sign_secret_files: %s: HMAC-SHA256 cannot be set up", file);
        goto out;
    }
    signer->keyed[signer->count++] = keyed;
    ok = true;
out:
    OPENSSL_cleanse(secret, sizeof(secret));
    return ok;
}

struct webhook_signer *webhook_signer_new(char *const *files, size_t count, struct err *err)
{
    struct webhook_signer *signer = mem_zalloc(sizeof(*signer));

    signer->keyed = mem_calloc(count ? count : 1, sizeof(*signer->keyed));
    signer->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!signer->mac) {
        err_set(err, ERR_INTERNAL, "OpenSSL has no HMAC");
        goto failed;
    }
    for (size_t i = 0; i < count; i++) {
        if (!add_secret(signer, files[i], err))
            goto failed;
    }
    return signer;
failed:
    webhook_signer_free(&signer);
    return NULL;
}

void webhook_signer_free(struct webhook_signer **signer)
{
    if (!*signer)
        return;
    for (size_t i = 0; i < (*signer)->count; i++)
        EVP_MAC_CTX_free((*signer)->keyed[i]);
    mem_free((*signer)->keyed);
    EVP_MAC_free((*signer)->mac);
    mem_free(*signer);
    *signer = NULL;
}

static void add_signature(EVP_MAC_CTX *keyed, struct slice signed_head, struct slice body,
                          struct buf *out)
{
    unsigned char mac[SHA256_BYTES];
    unsigned char text[4 * ((SHA256_BYTES + 2) / 3) + 1];
    size_t len = 0;

    if (EVP_MAC_init(keyed, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(keyed, (const unsigned char *)signed_head.data, signed_head.len) != 1 ||
        EVP_MAC_update(keyed, (const unsigned char *)body.data, body.len) != 1 ||
        EVP_MAC_final(keyed, mac, &len, sizeof(mac)) != 1)
        return; /* unsigned is refused by the handler, which is seen */
    int text_len = EVP_EncodeBlock(text, mac, (int)len);
    buf_add_text(out, " v1,");
    buf_add(out, text, (size_t)text_len);
}

void webhook_sign(struct webhook_signer *signer, struct slice message, int64_t now_s,
                  struct slice body, struct buf *out)
{
    char id[SHA256_HEX_MAX];
    char head[ID_HEX + 40];

    sha256_hex(message, id);
    id[ID_HEX] = '\0';
    int head_len = snprintf(head, sizeof(head), "msg_%s.%lld.", id, (long long)now_s);
    buf_add_text(out, "webhook-id: msg_");
    buf_add_text(out, id);
    buf_add_text(out, "\r\nwebhook-timestamp: ");
    buf_add_i64(out, now_s);
    buf_add_text(out, "\r\nwebhook-signature:");
    for (size_t i = 0; i < signer->count; i++)
        add_signature(signer->keyed[i], (struct slice){head, (size_t)head_len}, body, out);
    buf_add_text(out, "\r\n");
}
