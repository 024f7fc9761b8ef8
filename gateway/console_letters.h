/* Dead letters from a console's API, as the index gives them (dlq/index.h). */
#ifndef OG_GATEWAY_CONSOLE_LETTERS_H
#define OG_GATEWAY_CONSOLE_LETTERS_H

#include "console_ask.h"
#include "dlq/index.h"

bool console_groups(struct console_client *client, const struct dlq_filter *filter,
                    bool (*each)(void *arg, const struct dlq_group *group), void *arg,
                    struct dlq_covered *covered, struct err *err) MUST_CHECK;

/* As many pages as it takes for limit lines (0: all). after: what a page before said, or NULL; next
 * gets it for the page after, and is left empty at the end. */
bool console_list(struct console_client *client, const struct dlq_filter *filter, const char *after,
                  uint64_t limit, bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                  struct buf *next, struct dlq_covered *covered, struct err *err) MUST_CHECK;

/* Everything about one, as getLetter of the API has it, transferred; NULL: err says why. */
struct json_object *console_letter(struct console_client *client, const struct dlq_id *id,
                                   struct err *err) MUST_CHECK;
/* A line of an answer. What it points to lives as long as object and store (empty before). */
void console_row(struct json_object *object, struct buf *store, struct dlq_row *row);
/* Bytes of an answer (schema Bytes): a null slice, borrowed from object, or put into store. */
struct slice console_bytes(struct json_object *object, struct buf *store);

#endif
