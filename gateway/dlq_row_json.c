/* A line of the index as JSON; see json_print.h for how bytes and times stand in it. */
#include "dlq_row_json.h"

#include <json-c/json.h>

#include "cmd_dlq.h"
#include "json_print.h"

static void add_origin(struct json_object *object, const struct dlq_row *row)
{
    struct json_object *origin = NULL;
    if (row->origin_topic[0]) {
        origin = json_object_new_object();
        json_add_bytes(origin, "topic", slice_of(row->origin_topic));
        json_add_int(origin, "partition", row->origin_partition);
        json_add_int(origin, "offset", row->origin_offset);
    }
    json_object_object_add(object, "origin", origin);
}

struct json_object *dlq_row_json(const struct dlq_row *row)
{
    struct json_object *object = json_object_new_object();
    struct buf id = {0};
    int32_t latest_partition;
    int64_t latest_offset;
    dlq_row_id(row, &id);
    dlq_row_latest(row, &latest_partition, &latest_offset);
    json_add_text(object, "id", id.data);
    json_add_text(object, "state", dlq_state_name(row->state));
    json_add_bytes(object, "route", slice_of(row->route));
    json_add_bytes(object, "group", slice_of(row->group));
    json_add_text(object, "writer", letter_writer_name(row->writer));
    json_add_bytes(object, "code", slice_of(row->code));
    json_add_int(object, "http_status", row->http_status);
    json_add_bytes(object, "detail", slice_of(row->detail));
    json_add_text(object, "signature", row->signature);
    json_add_bytes(object, "key", row->key);
    json_add_uint(object, "key_size", row->key_size);
    json_add_uint(object, "value_size", row->value_size);
    json_add_uint(object, "attempts", row->attempts);
    json_add_uint(object, "redrive_count", row->redrive_count);
    json_add_bytes(object, "redrive_id",
                   row->redrive_id[0] ? slice_of(row->redrive_id) : SLICE_NULL);
    json_add_bytes(object, "edited_to", row->edited_to[0] ? slice_of(row->edited_to) : SLICE_NULL);
    json_add_time(object, "written", row->written_ms);
    json_add_time(object, "first_failed", row->first_failed_ms);
    json_add_time(object, "last_failed", row->last_failed_ms);
    add_origin(object, row);
    json_add_int(object, "latest_partition", latest_partition);
    json_add_int(object, "latest_offset", latest_offset);
    buf_deinit(&id);
    return object;
}
