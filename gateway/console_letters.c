/* Dead letters from a console; see console_letters.h. */
#include "console_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/base64.h"

#define PAGE 500 /* the most that the API gives at once */

static void read_covered(struct json_object *answer, struct dlq_covered *covered)
{
    struct json_object *object = answer_member(answer, "covered");
    covered->rows_read = (uint64_t)answer_number(object, "rows_read");
    covered->rows_total = (uint64_t)answer_number(object, "rows_total");
    covered->text_read = (uint64_t)answer_number(object, "text_read");
    covered->complete = answer_bool(object, "complete");
}

/* ---- groups ---- */

static void read_group(struct json_object *object, struct dlq_group *group)
{
    struct json_object *spark = answer_member(object, "spark");
    *group = (struct dlq_group){
        .signature = answer_text(object, "signature"),
        .route = answer_text(object, "route"),
        .code = answer_text(object, "code"),
        .title = answer_text(object, "title"),
        .open = (uint64_t)answer_number(object, "open"),
        .redriving = (uint64_t)answer_number(object, "redriving"),
        .resolved = (uint64_t)answer_number(object, "resolved"),
        .archived = (uint64_t)answer_number(object, "archived"),
        .keys = (uint64_t)answer_number(object, "keys"),
        .attempts = (uint64_t)answer_number(object, "attempts"),
        .letters = (uint64_t)answer_number(object, "letters"),
        .first_ms = answer_ms(object, "first"),
        .last_ms = answer_ms(object, "last"),
        .spark_unit_ms = answer_number(object, "spark_unit_ms"),
        .spark_end_ms = answer_ms(object, "spark_end"),
        .example = answer_text(object, "example"),
        .example_detail = answer_text(object, "example_detail"),
        .http_status = (int32_t)answer_number(object, "http_status"),
    };
    for (size_t i = 0; i < answer_count(spark) && i < DLQ_SPARK; i++)
        group->spark[i] = (uint32_t)json_object_get_int64(json_object_array_get_idx(spark, i));
}

bool console_groups(struct console_client *client, const struct dlq_filter *filter,
                    bool (*each)(void *arg, const struct dlq_group *group), void *arg,
                    struct dlq_covered *covered, struct err *err)
{
    struct buf path = {0};
    struct json_object *answer, *list;
    bool on = true;
    buf_add_text(&path, "/api/v1/groups");
    console_ask_add_filter(&path, filter);
    answer = console_ask(client, path.data, NULL, err);
    buf_deinit(&path);
    if (!answer)
        return false;
    read_covered(answer, covered);
    list = answer_member(answer, "groups");
    for (size_t i = 0; on && i < answer_count(list); i++) {
        struct dlq_group group;
        read_group(json_object_array_get_idx(list, i), &group);
        on = each(arg, &group);
    }
    json_object_put(answer);
    return true;
}

/* ---- lines ---- */

struct slice console_bytes(struct json_object *object, struct buf *store)
{
    const char *encoding = answer_text(object, "encoding");
    struct slice text = answer_bytes(object, "text");
    if (strcmp(encoding, "null") == 0)
        return SLICE_NULL;
    if (strcmp(encoding, "base64") != 0)
        return text;
    if (base64_decode(store, text))
        return buf_slice(store);
    return SLICE_LIT("");
}

static unsigned state_of(const char *name)
{
    for (unsigned bit = 1; bit < DLQ_STATE_ANY; bit <<= 1) {
        if (strcmp(name, dlq_state_name(bit)) == 0)
            return bit;
    }
    return DLQ_STATE_OPEN;
}

void console_row(struct json_object *object, struct buf *store, struct dlq_row *row)
{
    enum letter_writer writer = LETTER_PLAIN;
    for (int i = LETTER_OWN; i <= LETTER_SHARE_GROUP; i++) {
        if (strcmp(letter_writer_name((enum letter_writer)i), answer_text(object, "writer")) == 0)
            writer = (enum letter_writer)i;
    }
    *row = (struct dlq_row){
        .topic = answer_text(object, "topic"),
        .partition = (int32_t)answer_number(object, "partition"),
        .offset = answer_number(object, "offset"),
        .state_key = "",
        .route = answer_text(object, "route"),
        .group = answer_text(object, "group"),
        .code = answer_text(object, "code"),
        .signature = answer_text(object, "signature"),
        .detail = answer_text(object, "detail"),
        .writer = writer,
        .key = console_bytes(answer_member(object, "key"), store),
        .key_size = (uint64_t)answer_number(object, "key_size"),
        .http_status = (int32_t)answer_number(object, "http_status"),
        .attempts = (uint32_t)answer_number(object, "attempts"),
        .redrive_count = (uint32_t)answer_number(object, "redrive_count"),
        .value_size = (uint32_t)answer_number(object, "value_size"),
        .written_ms = answer_ms(object, "written"),
        .first_failed_ms = answer_ms(object, "first_failed"),
        .last_failed_ms = answer_ms(object, "last_failed"),
        .origin_topic = answer_text(object, "origin_topic"),
        .origin_partition = (int32_t)answer_number(object, "origin_partition"),
        .origin_offset = answer_number(object, "origin_offset"),
        .state = state_of(answer_text(object, "state")),
        .redrive_id = answer_text(object, "redrive_id"),
        .edited_to = answer_text(object, "edited_to"),
        .latest = answer_text(object, "latest"),
    };
}

/* A page; *count: its lines. */
static bool list_page(struct console_client *client, const char *path,
                      bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                      struct buf *next, uint64_t *count, struct dlq_covered *covered,
                      struct err *err)
{
    struct json_object *answer = console_ask(client, path, NULL, err);
    struct json_object *list = answer_member(answer, "letters");
    struct buf store = {0};
    bool on = true;
    *count = 0;
    if (!answer)
        return false;
    read_covered(answer, covered);
    for (size_t i = 0; on && i < answer_count(list); i++) {
        struct dlq_row row;
        buf_reset(&store);
        console_row(json_object_array_get_idx(list, i), &store, &row);
        on = each(arg, &row);
        ++*count;
    }
    buf_reset(next);
    if (on)
        buf_add_slice(next, answer_bytes(answer, "next"));
    buf_deinit(&store);
    json_object_put(answer);
    return true;
}

bool console_list(struct console_client *client, const struct dlq_filter *filter, const char *after,
                  uint64_t limit, bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                  struct buf *next, struct dlq_covered *covered, struct err *err)
{
    struct buf base = {0}, path = {0};
    uint64_t left = limit > 0 ? limit : UINT64_MAX, count = 0;
    bool ok;
    buf_add_text(&base, "/api/v1/letters");
    console_ask_add_filter(&base, filter);
    buf_add_text(next, after ? after : "");
    do {
        char number[24];
        snprintf(number, sizeof(number), "%" PRIu64, left < PAGE ? left : PAGE);
        buf_reset(&path);
        buf_add_slice(&path, buf_slice(&base));
        console_client_add_param(&path, "limit", slice_of(number));
        if (next->len > 0)
            console_client_add_param(&path, "cursor", buf_slice(next));
        ok = list_page(client, path.data, each, arg, next, &count, covered, err);
        left -= count < left ? count : left;
    } while (ok && next->len > 0 && left > 0);
    buf_deinit(&base);
    buf_deinit(&path);
    return ok;
}

struct json_object *console_letter(struct console_client *client, const struct dlq_id *id,
                                   struct err *err)
{
    struct buf path = {0};
    struct json_object *answer;
    buf_add_text(&path, "/api/v1/letters");
    console_client_add_segment(&path, slice_of(id->topic));
    buf_printf(&path, "/%" PRId32 "/%" PRId64, id->partition, id->offset);
    answer = console_ask(client, path.data, NULL, err);
    buf_deinit(&path);
    return answer;
}
