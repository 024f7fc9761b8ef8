/* Signatures of requests by Standard Webhooks: https://www.standardwebhooks.com, symmetric ("v1").
 */
#ifndef OG_HANDLER_WEBHOOK_H
#define OG_HANDLER_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct webhook_signer;

/* Each file holds one secret: whsec_<base64>, or raw bytes (a line end at the end is no part of
 * it). */
struct webhook_signer *webhook_signer_new(char *const *files, size_t count,
                                          struct err *err) MUST_CHECK;
void webhook_signer_free(struct webhook_signer **signer);

/*
 * Adds webhook-id, webhook-timestamp and webhook-signature. message: what the id is made of (a hash
 * of it, so that it has no dots and tells nothing); the same for every try of a record.
 */
void webhook_sign(struct webhook_signer *signer, struct slice message, int64_t now_s,
                  struct slice body, struct buf *out);

#endif
