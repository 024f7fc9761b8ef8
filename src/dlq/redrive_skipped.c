/*
 * Skipped letters as runs of offsets; see redrive_skipped.h. A list that is made has runs of one
 * letter, until it is sorted and those that meet are joined.
 *
 * Invariants: of a list that was read no run is empty, overflows, or names a topic that is not
 * there; `before` of a run is the sum of those before it. Must not: hold more than
 * REDRIVE_SKIPPED_MAX bytes can say of what anybody may have written.
 */
#include "dlq/redrive_skipped.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "record/json_tree.h"

enum { JSON_DEPTH = 4, HEAD = 3 /* reason, topic, partition */, TAIL = 2 /* of the JSON */ };

struct run {
    enum redrive_skip why;
    uint32_t topic;
    int32_t partition;
    int64_t first;
    uint64_t count, before;
};

struct redrive_skipped {
    char **topics;
    size_t topic_count;
    struct run *runs;
    size_t count, room;
};

/* What a person would look at first stands first: what is done already is the least of it. */
static const unsigned char ranks[REDRIVE_SKIPS] = {
    [SKIP_REFUSED] = 0,   [SKIP_NO_ROUTE] = 1,   [SKIP_FOREIGN] = 2,  [SKIP_GONE] = 3,
    [SKIP_NOT_FOUND] = 4, [SKIP_ON_ITS_WAY] = 5, [SKIP_ARCHIVED] = 6, [SKIP_RESOLVED] = 7,
};

/* ---- making ---- */

struct redrive_skipped *redrive_skipped_new(void)
{
    return mem_zalloc(sizeof(struct redrive_skipped));
}

void redrive_skipped_free(struct redrive_skipped **list_p)
{
    struct redrive_skipped *list = *list_p;
    if (!list)
        return;
    *list_p = NULL;
    for (size_t i = 0; i < list->topic_count; i++)
        mem_free(list->topics[i]);
    mem_free(list->topics);
    mem_free(list->runs);
    mem_free(list);
}

static void add_topic(struct redrive_skipped *list, struct slice topic)
{
    list->topics = mem_realloc(list->topics, (list->topic_count + 1) * sizeof(char *));
    list->topics[list->topic_count++] = mem_strndup(topic.data, topic.len);
}

/* Few topics, and mostly the last one again. */
static uint32_t topic_of(struct redrive_skipped *list, struct slice topic)
{
    for (size_t i = list->topic_count; i > 0; i--) {
        if (slice_equal_text(topic, list->topics[i - 1]))
            return (uint32_t)(i - 1);
    }
    add_topic(list, topic);
    return (uint32_t)(list->topic_count - 1);
}

static void add_run(struct redrive_skipped *list, const struct run *run)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->runs = mem_realloc(list->runs, list->room * sizeof(*list->runs));
    }
    list->runs[list->count++] = *run;
}

void redrive_skipped_add(struct redrive_skipped *list, enum redrive_skip why,
                         const struct letter_id *id)
{
    add_run(list, &(struct run){.why = why,
                                .topic = topic_of(list, id->topic),
                                .partition = id->partition,
                                .first = id->offset,
                                .count = 1});
}

/* ---- writing ---- */

static int by_place(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    if (x->why != y->why)
        return ranks[x->why] < ranks[y->why] ? -1 : 1;
    if (x->topic != y->topic)
        return x->topic < y->topic ? -1 : 1;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static bool is_beside(const struct run *a, const struct run *b)
{
    return a->why == b->why && a->topic == b->topic && a->partition == b->partition;
}

static void join(struct redrive_skipped *list)
{
    size_t kept = 0;
    if (list->count > 1)
        qsort(list->runs, list->count, sizeof(*list->runs), by_place);
    for (size_t i = 0; i < list->count; i++) {
        struct run *last = kept > 0 ? &list->runs[kept - 1] : NULL;
        if (last && is_beside(last, &list->runs[i]) &&
            list->runs[i].first == last->first + (int64_t)last->count)
            last->count += list->runs[i].count;
        else
            list->runs[kept++] = list->runs[i];
    }
    list->count = kept;
}

static void write_head(const struct redrive_skipped *list, uint64_t unlisted, struct buf *out)
{
    buf_printf(out, "{\"v\":1,\"unlisted\":%" PRIu64 ",\"topics\":[", unlisted);
    for (size_t i = 0; i < list->topic_count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        buf_add_json(out, slice_of(list->topics[i]));
    }
    buf_add_text(out, "],\"letters\":[");
}

/* The runs as far as they fit; how many letters these are. */
static uint64_t write_runs(const struct redrive_skipped *list, size_t room, struct buf *out)
{
    const struct run *last = NULL;
    uint64_t listed = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct run *run = &list->runs[i];
        size_t len = out->len;
        if (!last || !is_beside(last, run))
            buf_printf(out, "%s[\"%s\",%" PRIu32 ",%" PRId32, last ? "]," : "",
                       redrive_skip_name(run->why), run->topic, run->partition);
        buf_printf(out, ",%" PRId64 ",%" PRIu64, run->first, run->count);
        if (out->len > room) {
            out->len = len;
            break;
        }
        last = run;
        listed += run->count;
    }
    if (last)
        buf_add_char(out, ']');
    return listed;
}

uint64_t redrive_skipped_write(struct redrive_skipped *list, struct buf *out)
{
    struct buf head = {0}, runs = {0};
    uint64_t all = 0, listed;
    join(list);
    for (size_t i = 0; i < list->count; i++)
        all += list->runs[i].count;
    write_head(list, all, &head); /* as long as it can become */
    listed = head.len + TAIL + 1 < REDRIVE_SKIPPED_MAX
                 ? write_runs(list, REDRIVE_SKIPPED_MAX - head.len - TAIL - 1, &runs)
                 : 0;
    buf_reset(&head);
    write_head(list, all - listed, &head);
    buf_add_slice(out, buf_slice(&head));
    buf_add_slice(out, buf_slice(&runs));
    buf_add_text(out, "]}");
    buf_deinit(&head);
    buf_deinit(&runs);
    return listed;
}

/* ---- reading ---- */

static bool number_at(struct json_object *array, size_t at, int64_t most, int64_t *out)
{
    struct json_object *value = json_object_array_get_idx(array, at);
    if (!json_object_is_type(value, json_type_int))
        return false;
    *out = json_object_get_int64(value);
    return *out >= 0 && *out <= most;
}

static bool read_pairs(struct redrive_skipped *list, struct run *run, struct json_object *array,
                       uint64_t *before)
{
    size_t count = json_object_array_length(array);
    if (count % 2 != HEAD % 2)
        return false;
    for (size_t i = HEAD; i < count; i += 2) {
        int64_t letters;
        if (!number_at(array, i, INT64_MAX - 1, &run->first) ||
            !number_at(array, i + 1, INT64_MAX - 1 - run->first, &letters) || letters == 0 ||
            *before > INT64_MAX - (uint64_t)letters)
            return false;
        run->count = (uint64_t)letters;
        run->before = *before;
        *before += run->count;
        add_run(list, run);
    }
    return true;
}

static bool read_letters(struct redrive_skipped *list, struct json_object *array, uint64_t *before)
{
    struct run run = {0};
    struct json_object *why = json_object_is_type(array, json_type_array)
                                  ? json_object_array_get_idx(array, 0)
                                  : NULL;
    int64_t topic, partition;
    if (!json_object_is_type(why, json_type_string) || list->topic_count == 0 ||
        !redrive_skip_parse(slice_of(json_object_get_string(why)), &run.why) ||
        !number_at(array, 1, (int64_t)list->topic_count - 1, &topic) ||
        !number_at(array, 2, INT32_MAX, &partition))
        return false;
    run.topic = (uint32_t)topic;
    run.partition = (int32_t)partition;
    return read_pairs(list, &run, array, before);
}

static bool read_topic(struct redrive_skipped *list, struct json_object *value)
{
    struct slice topic;
    if (!json_object_is_type(value, json_type_string))
        return false;
    topic = (struct slice){json_object_get_string(value),
                           (size_t)json_object_get_string_len(value)};
    if (topic.len == 0 || topic.len >= LETTER_TOPIC_MAX || memchr(topic.data, '\0', topic.len))
        return false;
    add_topic(list, topic);
    return true;
}

static bool read_object(struct redrive_skipped *list, struct json_object *object)
{
    struct json_object *version, *topics, *letters;
    uint64_t before = 0;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, "v", &version) || json_object_get_int64(version) != 1 ||
        !json_object_object_get_ex(object, "topics", &topics) ||
        !json_object_is_type(topics, json_type_array) ||
        !json_object_object_get_ex(object, "letters", &letters) ||
        !json_object_is_type(letters, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(topics); i++) {
        if (!read_topic(list, json_object_array_get_idx(topics, i)))
            return false;
    }
    for (size_t i = 0; i < json_object_array_length(letters); i++) {
        if (!read_letters(list, json_object_array_get_idx(letters, i), &before))
            return false;
    }
    return true;
}

struct redrive_skipped *redrive_skipped_read(struct slice value, struct err *err)
{
    struct redrive_skipped *list = redrive_skipped_new();
    struct json_object *object = NULL;
    if (value.len > REDRIVE_SKIPPED_MAX ||
        !json_tree_read(value, JSON_DEPTH, false, &object, NULL) || !object ||
        !read_object(list, object)) {
        redrive_skipped_free(&list);
        (void)err_set(err, ERR_INPUT, "no list of skipped letters");
    }
    json_object_put(object);
    return list;
}

uint64_t redrive_skipped_count(const struct redrive_skipped *list)
{
    const struct run *last = list->count > 0 ? &list->runs[list->count - 1] : NULL;
    return last ? last->before + last->count : 0;
}

void redrive_skipped_get(const struct redrive_skipped *list, uint64_t at, enum redrive_skip *why,
                         struct letter_id *id)
{
    size_t low = 0, high = list->count - 1;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (list->runs[middle].before <= at)
            low = middle;
        else
            high = middle - 1;
    }
    *why = list->runs[low].why;
    *id = (struct letter_id){.topic = slice_of(list->topics[list->runs[low].topic]),
                             .partition = list->runs[low].partition,
                             .offset = list->runs[low].first +
                                       (int64_t)(at - list->runs[low].before)};
}
