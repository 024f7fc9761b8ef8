/*
 * Commands that ask a console instead of reading the topics: --console URL, --token-file FILE,
 * --ca-file FILE, or $ONCEGATE_CONSOLE, $ONCEGATE_CONSOLE_TOKEN_FILE, $ONCEGATE_CONSOLE_CA_FILE. A
 * token is never an argument: everybody on the machine can read those.
 */
#ifndef OG_GATEWAY_CONSOLE_ASK_H
#define OG_GATEWAY_CONSOLE_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli.h"
#include "console/client.h"
#include "dlq/filter.h"

struct json_object; /* json-c */

/* The console that the options or the environment name; *client NULL: none is named, the command
 * does its work itself. False: they are wrong. */
bool console_ask_open(struct cli *cli, struct console_client **client, struct err *err) MUST_CHECK;

/* What the API answers, transferred; NULL: err says why. body NULL: GET, else POST. */
struct json_object *console_ask(struct console_client *client, const char *path, const char *body,
                                struct err *err) MUST_CHECK;

/* The same of a request of any kind; NULL also where what is answered is no JSON object. */
struct json_object *console_ask_with(struct console_client *client,
                                     const struct console_client_request *request,
                                     struct err *err) MUST_CHECK;

/* The filter as parameters of the path. */
void console_ask_add_filter(struct buf *path, const struct dlq_filter *filter);

/* Members of an answer; "" and 0 where there is none of that kind. Texts are borrowed. */
const char *answer_text(struct json_object *object, const char *name);
struct slice answer_bytes(struct json_object *object, const char *name);
int64_t answer_number(struct json_object *object, const char *name);
bool answer_bool(struct json_object *object, const char *name);
int64_t answer_ms(struct json_object *object, const char *name); /* of RFC 3339 */
/* NULL where there is none. */
struct json_object *answer_member(struct json_object *object, const char *name);
/* The items of an array; 0 of anything else. */
size_t answer_count(struct json_object *list);

#endif
