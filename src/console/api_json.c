/* Lines of the index as JSON. All text goes through buf_add_json: none of it is trusted. */
#include <inttypes.h>

#include "base/str.h"
#include "console/console_parts.h"

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    buf_add_json(out, slice_of(text ? text : ""));
    buf_add_char(out, ',');
}

static void add_number(struct buf *out, const char *name, int64_t number)
{
    buf_printf(out, "\"%s\":%" PRId64 ",", name, number);
}

static void add_time(struct buf *out, const char *name, int64_t ms)
{
    char text[STR_RFC3339_MAX];
    if (ms <= 0) {
        buf_printf(out, "\"%s\":null,", name);
        return;
    }
    str_rfc3339_from_ms(ms, text);
    buf_printf(out, "\"%s\":\"%s\",", name, text);
}

void json_add_group(struct buf *out, const struct dlq_group *group)
{
    buf_add_char(out, '{');
    add_text(out, "signature", group->signature);
    add_text(out, "route", group->route);
    add_text(out, "code", group->code);
    add_text(out, "title", group->title);
    add_number(out, "open", (int64_t)group->open);
    add_number(out, "redriving", (int64_t)group->redriving);
    add_number(out, "resolved", (int64_t)group->resolved);
    add_number(out, "archived", (int64_t)group->archived);
    add_number(out, "keys", (int64_t)group->keys);
    add_number(out, "attempts", (int64_t)group->attempts);
    add_number(out, "letters", (int64_t)group->letters);
    add_time(out, "first", group->first_ms);
    add_time(out, "last", group->last_ms);
    add_number(out, "http_status", group->http_status);
    add_text(out, "example", group->example);
    add_text(out, "example_detail", group->example_detail);
    add_number(out, "spark_unit_ms", group->spark_unit_ms);
    add_time(out, "spark_end", group->spark_end_ms);
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
    add_number(out, "key_size", (int64_t)row->key_size);
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
    add_text(out, "topic", row->topic);
    add_number(out, "partition", row->partition);
    add_number(out, "offset", row->offset);
    add_text(out, "state", dlq_state_name(row->state));
    add_text(out, "route", row->route);
    add_text(out, "group", row->group);
    add_text(out, "code", row->code);
    add_text(out, "signature", row->signature);
    add_text(out, "detail", row->detail);
    add_text(out, "writer", letter_writer_name(row->writer));
    add_key(out, row);
    add_number(out, "http_status", row->http_status);
    add_number(out, "attempts", row->attempts);
    add_number(out, "redrive_count", row->redrive_count);
    add_text(out, "redrive_id", row->redrive_id);
    add_number(out, "value_size", row->value_size);
    add_time(out, "written", row->written_ms);
    add_time(out, "first_failed", row->first_failed_ms);
    add_time(out, "last_failed", row->last_failed_ms);
    add_text(out, "origin_topic", row->origin_topic);
    add_number(out, "origin_partition", row->origin_partition);
    add_number(out, "origin_offset", row->origin_offset);
    add_number_text(out, "epoch", row->has_epoch, row->epoch);
    add_number_text(out, "sequence", row->has_number, row->number);
    add_text(out, "edited_to", row->edited_to);
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
