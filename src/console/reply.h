/* Answers in JSON; errors are application/problem+json (RFC 9457). */
#ifndef OG_CONSOLE_REPLY_H
#define OG_CONSOLE_REPLY_H

#include "base/buf.h"
#include "base/err.h"
#include "console/server.h"

/* {"type":"about:blank","title","status","detail"} */
void reply_add_problem(struct buf *out, int status, const char *detail);
void reply_problem(struct call *call, int status, const char *detail);
/* As the error says: what the caller did wrong is 400, what is away 503. */
void reply_problem_err(struct call *call, const struct err *err);
void reply_json(struct call *call, const struct buf *body);
/* The headers that those have, for an answer that is made otherwise. */
void reply_close_up(struct call *call);

#endif
