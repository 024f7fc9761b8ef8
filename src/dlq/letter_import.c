/* See letter_import.h. Must not: guess what a bad line may have meant, or look at the payload. */
#include "dlq/letter_import.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "record/json_field.h"

static const char end_begins[] = "{\"end\":";

bool letter_import_is_end(struct slice text)
{
    size_t len = sizeof(end_begins) - 1;
    return text.len >= len && memcmp(text.data, end_begins, len) == 0;
}

bool letter_import_end_fits(struct letter_import *import, struct slice text, struct err *err)
{
    struct json_field fields[] = {{.pointer = "/end/letters"}, {.pointer = "/end/complete"}};
    uint64_t letters = 0, there = import->since_end;
    import->since_end = 0;
    if (!json_find(text, fields, 2) || fields[0].kind != JSON_NUMBER ||
        !str_to_u64(fields[0].raw, &letters))
        return err_set(err, ERR_INPUT, "end: is not what an export ends with");
    if (fields[1].kind != JSON_BOOL || !slice_equal_text(fields[1].raw, "true"))
        return err_set(err, ERR_INPUT, "end: the export that wrote this was not whole");
    return letters == there ||
           err_set(err, ERR_INPUT,
                   "end: %" PRIu64 " dead letters were exported, and %" PRIu64 " stand here",
                   letters, there);
}

static bool find_topic(const struct letter_import *import, struct slice name, size_t *at)
{
    for (*at = 0; *at < import->count; (*at)++) {
        if (slice_equal_text(name, import->topics[*at].name))
            return true;
    }
    return false;
}

static bool read_letter(const struct letter_import *import, struct slice text,
                        struct letter_line *line, size_t *topic, size_t *column, struct err *err)
{
    const char *at;
    if (!letter_line_read(text, line, column, err))
        return false;
    if (!find_topic(import, line->rec.topic, topic))
        (void)err_set(err, ERR_INPUT, "topic: %s is no dead-letter topic of this configuration",
                      line->rec.topic.data);
    else if (!import->topics[*topic].exists)
        (void)err_set(err, ERR_INPUT, "topic: %s does not exist", line->rec.topic.data);
    else
        return true;
    letter_line_deinit(line);
    at = memmem(text.data, text.len, "\"topic\"", 7);
    *column = at ? (size_t)(at - text.data) + 1 : 1;
    return false;
}

enum letter_import_line letter_import_read(struct letter_import *import, struct slice text,
                                           struct letter_line *line, size_t *topic, size_t *column,
                                           struct err *err)
{
    bool end = letter_import_is_end(text);
    *column = 1;
    if (!end)
        import->since_end++;
    if (end ? letter_import_end_fits(import, text, err)
            : read_letter(import, text, line, topic, column, err)) {
        import->good += !end;
        return end ? LETTER_IMPORT_END : LETTER_IMPORT_LETTER;
    }
    import->bad++;
    return LETTER_IMPORT_BAD;
}

void letter_import_fill(struct produce *msg, const struct letter_line *line,
                        const struct letter_import_topic *topic)
{
    msg->topic = topic->name;
    msg->partition = line->rec.partition % topic->partitions;
    msg->key = line->rec.key;
    msg->value = line->rec.value;
    msg->headers = line->rec.headers;
    msg->header_count = line->rec.header_count;
}

void letter_import_write_end(struct buf *out, uint64_t letters, const char *why)
{
    buf_printf(out, "%s{\"letters\":%" PRIu64 ",\"complete\":%s,\"why\":", end_begins, letters,
               why ? "false" : "true");
    if (why)
        buf_add_json(out, slice_of(why));
    else
        buf_add_text(out, "null");
    buf_add_text(out, "}}\n");
}
