/* One dead letter with all that is known of it, for `dlq show`: from the topics and the ledger, or
 * from a console. */
#ifndef OG_GATEWAY_DLQ_SHOWN_H
#define OG_GATEWAY_DLQ_SHOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cmd_dlq.h"
#include "record/dead_letter.h"
#include "record/record.h"

struct json_object; /* json-c */

struct shown {
    struct dlq *dlq;
    struct dlq_id id;
    struct buf id_text;
    bool raw; /* only the value is wanted */

    struct record rec;         /* borrowed from what is behind it */
    struct dead_letter letter; /* of rec */
    /* Of its line; nothing of it where it is not known (it came a moment ago). */
    struct json_object *row;
    const char *state; /* "open" ...; NULL: not known */
    uint32_t redrive_count;
    char *redrive_id, *edited_to; /* NULL where the line is not known */
    struct buf line_id; /* of the line: of the first letter, where this one continues another */
    /* Lines of the same key, the newest first. */
    struct json_object *same;
    size_t same_count;
    bool same_more; /* than are counted */
    struct buf ledger, curl;
    struct buf hidden; /* lines that say what of it is kept back, and why */
};

/* Fills all but dlq, id, id_text and raw. rec lives until release; what release gets is in *behind
 * (NULL: nothing to release). *code is the exit code where they fail, which is said on stderr. */
struct shown_source {
    bool (*fill)(struct shown *shown, void **behind, int *code);
    void (*release)(void *behind);
};
extern const struct shown_source shown_from_topics;
extern const struct shown_source shown_from_console;

/* For the sources. */
void shown_line(struct shown *shown, const struct dlq_row *row);
void shown_same(struct shown *shown, const struct dlq_row *row);

#endif
