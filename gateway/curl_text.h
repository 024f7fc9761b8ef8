/* What a person pastes into a shell. Nothing of a record can end a word there, begin a command, or
 * reach the terminal as anything but letters. */
#ifndef OG_GATEWAY_CURL_TEXT_H
#define OG_GATEWAY_CURL_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "record/record.h"

/* One word for bash, zsh and ksh: in single quotes, and where it holds what is not printable ASCII
 * or plain letters of UTF-8, as $'...'. text holds no NUL. */
void curl_add_quoted(struct buf *out, struct slice text);

/*
 * Appends a curl that makes the delivery which the gateway would make of this dead letter at its
 * next attempt. Secrets are not in it: configured headers whose value is in a file are read by the
 * shell, others stand as ***; it is not signed. id: how `dlq show --raw` is told the value that
 * does not fit into a command.
 */
bool curl_add_delivery(struct buf *out, const struct route_config *route, const struct record *rec,
                       const char *id, struct err *err) MUST_CHECK;

#endif
