/* Lines of the index as JSON. All text goes through buf_add_json: none of it is trusted. */
#include <inttypes.h>

#include "base/str.h"
#include "console/console_parts.h"

/* No printf where there are thousands of these to an answer. */
static void add_name(struct buf *out, const char *name)
{
    buf_add_char(out, '"');
    buf_add_text(out, name);
    buf_add(out, "\":", 2);
}

void api_add_text(struct buf *out, const char *name, const char *text)
{
    add_name(out, name);
    buf_add_json(out, slice_of(text ? text : ""));
    buf_add_char(out, ',');
}

void api_add_text_or_null(struct buf *out, const char *name, const char *text)
{
    if (text)
        api_add_text(out, name, text);
    else
        buf_printf(out, "\"%s\":null,", name);
}

void api_add_number(struct buf *out, const char *name, int64_t number)
{
    add_name(out, name);
    buf_add_i64(out, number);
    buf_add_char(out, ',');
}

void api_add_count(struct buf *out, const char *name, uint64_t count)
{
    add_name(out, name);
    buf_add_u64(out, count);
    buf_add_char(out, ',');
}

void api_add_time(struct buf *out, const char *name, int64_t ms)
{
    char text[STR_RFC3339_MAX];
    add_name(out, name);
    if (ms <= 0) {
        buf_add_text(out, "null,");
        return;
    }
    str_rfc3339_from_ms(ms, text);
    buf_add_char(out, '"');
    buf_add_text(out, text);
    buf_add(out, "\",", 2);
}

void json_add_group(struct buf *out, const struct dlq_group *group)
{
    buf_add_char(out, '{');
    api_add_text(out, "signature", group->signature);
    api_add_text(out, "route", group->route);
    api_add_text(out, "code", group->code);
    api_add_text(out, "title", group->title);
    api_add_count(out, "open", group->open);
    api_add_count(out, "redriving", group->redriving);
    api_add_count(out, "resolved", group->resolved);
    api_add_count(out, "archived", group->archived);
    api_add_count(out, "keys", group->keys);
    api_add_count(out, "attempts", group->attempts);
    api_add_count(out, "letters", group->letters);
    api_add_time(out, "first", group->first_ms);
    api_add_time(out, "last", group->last_ms);
    api_add_number(out, "http_status", group->http_status);
    api_add_text(out, "example", group->example);
    api_add_text(out, "example_detail", group->example_detail);
    api_add_number(out, "spark_unit_ms", group->spark_unit_ms);
    api_add_time(out, "spark_end", group->spark_end_ms);
    buf_add_text(out, "\"spark\":[");
    for (size_t i = 0; i < DLQ_SPARK; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_i64(out, group->spark[i]);
    }
    buf_add_text(out, "]}");
}

/* Sequences are unsigned 64-bit, which readers of JSON do not keep: so as text. */
static void add_number_text(struct buf *out, const char *name, bool has, uint64_t number)
{
    if (has)
        buf_printf(out, "\"%s\":\"%" PRIu64 "\",", name, number);
    else
        buf_printf(out, "\"%s\":null,", name);
}

/* The index keeps the beginning of a key only. */
static void add_key(struct buf *out, const struct dlq_row *row)
{
    struct payload_view view = {.role = ROLE_ADMIN, .limit = SIZE_MAX}; /* keys are never masked */
    buf_add_text(out, "\"key\":");
    payload_add_key(out, &view, row->key);
    buf_add_char(out, ',');
    api_add_count(out, "key_size", row->key_size);
}

void json_add_row(struct buf *out, const struct dlq_row *row)
{
    buf_add_char(out, '{');
    buf_add_text(out, "\"id\":");
    struct buf id = {0};
    buf_printf(&id, "%s/%" PRId32 "/%" PRId64, row->topic, row->partition, row->offset);
    buf_add_json(out, buf_slice(&id));
    buf_deinit(&id);
    buf_add_char(out, ',');
    api_add_text(out, "topic", row->topic);
    api_add_number(out, "partition", row->partition);
    api_add_number(out, "offset", row->offset);
    api_add_text(out, "state", dlq_state_name(row->state));
    api_add_text(out, "route", row->route);
    api_add_text(out, "group", row->group);
    api_add_text(out, "code", row->code);
    api_add_text(out, "signature", row->signature);
    api_add_text(out, "detail", row->detail);
    api_add_text(out, "writer", letter_writer_name(row->writer));
    add_key(out, row);
    api_add_number(out, "http_status", row->http_status);
    api_add_number(out, "attempts", row->attempts);
    api_add_number(out, "redrive_count", row->redrive_count);
    api_add_text(out, "redrive_id", row->redrive_id);
    api_add_number(out, "value_size", row->value_size);
    api_add_time(out, "written", row->written_ms);
    api_add_time(out, "first_failed", row->first_failed_ms);
    api_add_time(out, "last_failed", row->last_failed_ms);
    api_add_text(out, "origin_topic", row->origin_topic);
    api_add_number(out, "origin_partition", row->origin_partition);
    api_add_number(out, "origin_offset", row->origin_offset);
    add_number_text(out, "epoch", row->has_epoch, row->epoch);
    add_number_text(out, "sequence", row->has_number, row->number);
    api_add_text(out, "edited_to", row->edited_to);
    buf_add_text(out, "\"latest\":");
    buf_add_json(out, slice_of(row->latest));
    buf_add_char(out, '}');
}

void json_add_covered(struct buf *out, const struct dlq_covered *covered)
{
    buf_printf(out,
               "{\"rows_read\":%" PRIu64 ",\"rows_total\":%" PRIu64 ",\"text_read\":%" PRIu64
               ",\"complete\":%s}",
               covered->rows_read, covered->rows_total, covered->text_read,
               covered->complete ? "true" : "false");
}
