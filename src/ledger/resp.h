/* Commands as Redis reads them off the wire (RESP): an array of bulk strings, built in a buffer. */
#ifndef OG_LEDGER_RESP_H
#define OG_LEDGER_RESP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void resp_begin(struct buf *out, size_t args);
void resp_arg(struct buf *out, const void *data, size_t len);
/*
 * An argument that is written where it goes: room for RESP_AROUND and its bytes must be there. The
 * bytes go behind what resp_open returns, and resp_close behind them.
 */
#define RESP_AROUND 25
uint8_t *resp_open(uint8_t *at, size_t len);
uint8_t *resp_close(uint8_t *at);
void resp_text(struct buf *out, const char *text);
void resp_number(struct buf *out, uint64_t n);
/* A whole command of texts; ends with NULL. */
void resp_command(struct buf *out, const char *name, ...) __attribute__((sentinel));
/* AUTH; username may be NULL. */
void resp_login(struct buf *out, const char *username, const char *password);

#endif
