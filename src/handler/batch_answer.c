/*
 * Reads the results of a batch; see batch_answer.h. The body is checked once as a whole, then
 * walked over in place: most results are a success, of which nothing more is asked.
 *
 * Invariants: what is not said is never taken for success; a result that says nothing readable is
 * the record's trouble, a body that is no such answer that of all of them. Results are most often
 * in the order of the request: as long as they are, no id is looked for.
 */
#include "handler/batch_answer.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "handler/http_answer.h"
#include "handler/http_problem.h"
#include "record/json_field.h"

/* Results for each record, before an answer is taken for a flood. */
#define RESULTS_EACH_MAX 2

#define NOT_FOUND UINT32_MAX

/* ---- ids ---- */

void batch_ids_end(struct batch_ids *ids)
{
    if (ids->count == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 64;
        ids->ends = mem_realloc(ids->ends, ids->cap * sizeof(*ids->ends));
        ids->hashes = mem_realloc(ids->hashes, ids->cap * sizeof(*ids->hashes));
    }
    ids->ends[ids->count++] = ids->bytes.len;
}

void batch_ids_reset(struct batch_ids *ids)
{
    buf_reset(&ids->bytes);
    ids->count = ids->hashed = 0;
}

void batch_ids_deinit(struct batch_ids *ids)
{
    buf_deinit(&ids->bytes);
    mem_free(ids->ends);
    mem_free(ids->hashes);
    memset(ids, 0, sizeof(*ids));
}

struct slice batch_ids_at(const struct batch_ids *ids, uint32_t i)
{
    size_t begin = i > 0 ? ids->ends[i - 1] : 0;
    return (struct slice){ids->bytes.data + begin, ids->ends[i] - begin};
}

/* FNV-1a: only to pass over most of the others without comparing them. */
static uint32_t hash_of(struct slice id)
{
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < id.len; i++)
        h = (h ^ (unsigned char)id.data[i]) * UINT32_C(16777619);
    return h;
}

/* The first event of that id that has no result yet; where all have one, the last of them.
 * *in_order: so many results came in the order of the events; NOT_FOUND: one did not. */
static uint32_t find(struct batch_ids *ids, const struct batch_result *results, struct slice id,
                     uint32_t *in_order)
{
    uint32_t last = NOT_FOUND;

    if (*in_order < ids->count && slice_equal(batch_ids_at(ids, *in_order), id))
        return (*in_order)++;
    *in_order = NOT_FOUND;
    for (; ids->hashed < ids->count; ids->hashed++)
        ids->hashes[ids->hashed] = hash_of(batch_ids_at(ids, ids->hashed));
    uint32_t hash = hash_of(id);
    for (uint32_t i = 0; i < ids->count; i++) {
        if (ids->hashes[i] != hash || !slice_equal(batch_ids_at(ids, i), id))
            continue;
        if (!results[i].named)
            return i;
        last = i;
    }
    return last;
}

/* ---- results ---- */

static bool read_id(const struct json_field *field, struct buf *store, struct slice *id)
{
    if (field->kind != JSON_STRING)
        return false;
    buf_reset(store);
    buf_reserve(store, field->raw.len + 1);
    return json_string_bytes(field->raw, store, id);
}

/* One entry of results. */
static bool take_entry(struct slice entry, struct batch_ids *ids, struct buf *store,
                       uint32_t *in_order, struct batch_answer *out)
{
    struct json_field fields[] = {{.pointer = "/id"}, {.pointer = "/outcome"}};
    struct slice id;

    if (!json_find(entry, fields, 2) || !read_id(&fields[0], store, &id)) {
        out->problem = "an entry of results has no id that is a text";
        return false;
    }
    uint32_t i = find(ids, out->results, id, in_order);
    if (i == NOT_FOUND) {
        out->unknown++;
        return true;
    }
    struct batch_result *result = &out->results[i];
    out->named += !result->named;
    /* A second result of a record: which of them is meant cannot be known. */
    result->readable = !result->named && fields[1].kind == JSON_STRING &&
                       http_answer_outcome(fields[1].raw, &result->outcome);
    result->named = true;
    result->entry = entry;
    return true;
}

static void forget(struct batch_answer *out, uint32_t count)
{
    out->named = 0;
    memset(out->results, 0, count * sizeof(*out->results));
}

bool batch_answer_read(struct slice body, bool cut, struct batch_ids *ids, struct batch_answer *out)
{
    struct json_field results = {.pointer = "/results"};
    struct json_walk walk;
    struct slice name, entry;
    struct buf store = {0};
    uint32_t in_order = 0, entries = 0;

    forget(out, ids->count);
    out->unknown = 0;
    out->problem = NULL;
    if (body.len == 0)
        return true;
    if (!json_find(body, &results, 1))
        out->problem = cut ? "the answer is longer than handler.max_response and 1 KiB for each "
                             "record of handler.batch.max_records"
                           : "the answer is no JSON";
    else if (results.kind != JSON_ARRAY)
        out->problem = "the answer is no object with an array `results`";
    else {
        json_walk_begin(&walk, results.raw);
        while (!out->problem && json_walk_next(&walk, &name, &entry)) {
            if (++entries > ids->count * RESULTS_EACH_MAX)
                out->problem = "the answer has far more results than the request had records";
            else
                (void)take_entry(entry, ids, &store, &in_order, out);
        }
    }
    buf_deinit(&store);
    if (!out->problem)
        return true;
    forget(out, ids->count);
    return false;
}

/* ---- what one says ---- */

static void set_text(struct handler_answer *out, const char *text)
{
    (void)str_copy(out->detail, sizeof(out->detail), slice_of(text));
}

/* Code, detail and time of a result that is no success. */
static void read_why(struct slice entry, int64_t wall_ms, struct handler_answer *out)
{
    struct json_field fields[] = {
        {.pointer = "/error_code"}, {.pointer = "/detail"}, {.pointer = "/retry_after"}};
    struct slice text;
    struct buf store = {0};

    if (!json_find(entry, fields, 3))
        return;
    buf_reserve(&store, entry.len + 1);
    if (fields[0].kind == JSON_STRING && http_problem_is_code(fields[0].raw)) {
        memcpy(out->code, fields[0].raw.data, fields[0].raw.len);
        out->code[fields[0].raw.len] = '\0';
    }
    if (fields[1].kind == JSON_STRING && json_string_bytes(fields[1].raw, &store, &text))
        http_problem_text(text, out->detail);
    if (fields[2].kind == JSON_NUMBER || fields[2].kind == JSON_STRING)
        out->retry_after_ms = http_answer_retry_after(fields[2].raw, wall_ms);
    buf_deinit(&store);
}

static void say_missing(const struct batch_answer *answer, struct handler_answer *out)
{
    memcpy(out->code, BATCH_MISSING, sizeof(BATCH_MISSING));
    if (answer->unknown == 0)
        set_text(out, "the answer has no result of this record");
    else
        snprintf(out->detail, sizeof(out->detail),
                 "the answer has no result of this record, and %u of ids that the request did not "
                 "have",
                 (unsigned)answer->unknown);
}

void batch_answer_of(const struct batch_answer *answer, uint32_t i,
                     const struct handler_answer *whole, int64_t wall_ms,
                     struct handler_answer *out)
{
    const struct batch_result *result = &answer->results[i];

    out->error = HANDLER_OK;
    out->status = whole->status;
    out->request_sent = true;
    out->cancelled = false;
    out->has_outcome = true;
    out->retry_after_ms = -1;
    out->code[0] = '\0';
    out->detail[0] = '\0';
    if (!result->named && whole->has_outcome) {
        out->outcome = whole->outcome;
        out->retry_after_ms = whole->retry_after_ms;
        memcpy(out->code, whole->code, sizeof(out->code));
    } else if (!result->named) {
        out->outcome = OUTCOME_RETRY;
        say_missing(answer, out);
    } else if (result->readable) {
        out->outcome = result->outcome;
        if (result->outcome != OUTCOME_SUCCESS)
            read_why(result->entry, wall_ms, out);
    } else {
        out->error = HANDLER_PROTOCOL;
        out->has_outcome = false;
        set_text(out, "the record's result has no outcome of success, retry, dead-letter, drop and "
                      "pause, or it has more than one");
    }
}
