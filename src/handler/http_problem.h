/* Why the handler refused, from the body of its answer: problem details (RFC 9457) or plain text.
 */
#ifndef OG_HANDLER_HTTP_PROBLEM_H
#define OG_HANDLER_HTTP_PROBLEM_H

#include <stdbool.h>

#include "base/slice.h"
#include "handler/client.h"

/* s is 1 to 64 of [a-z0-9._-]: fit to be an error code. */
bool http_problem_is_code(struct slice s);

/*
 * Reads application/problem+json: the last segment of `type` into code (left "" for about:blank and
 * what is no code), `detail`, else `title`, into detail. False where it is no JSON object.
 */
bool http_problem_read(struct slice body, char code[ANSWER_CODE_MAX],
                       char detail[ANSWER_DETAIL_MAX]);

/* The start of text as a detail: valid UTF-8, no control characters but line feed and tab. */
void http_problem_text(struct slice text, char detail[ANSWER_DETAIL_MAX]);

#endif
