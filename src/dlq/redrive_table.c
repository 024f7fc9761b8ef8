/*
 * Letters and their states under one id; see redrive_table.h. Entries stand in blocks that never
 * move, found through a hash of their id; names (topics, redrives, codes) are kept once each.
 * Invariants: an entry's bytes are those of its newest letter; a selection holds on to a letter
 * whichever of its history it names. Must not: decide by what a foreign letter claims to be.
 */
#include "dlq/redrive_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "dlq/words.h"

enum { BLOCK = 1024 };

struct map {
    uint32_t *slots; /* number + 1; 0: free */
    size_t size;     /* a power of two, or 0 */
    size_t used;
};

struct redrive_table {
    char *group;
    const struct dlq_filter *filter;
    struct dlq_words *words; /* of the filter's text; NULL: none */
    int64_t before_ms;
    uint32_t own; /* the name of this redrive; 0: none */
    bool *found;  /* of the filter's ids */
    bool keep_keys;
    uint64_t
        offsets[1024]; /* bits: what the ids' offsets may be, so that few records are compared */
    char **names;      /* 0 is "" */
    size_t name_count;
    struct map name_map;
    struct redrive_entry **blocks;
    size_t entry_count;
    struct map entry_map;
    struct buf text; /* scratch */
};

/* ---- hashing ---- */

static uint64_t hash_of(const void *data, size_t len)
{
    static const unsigned char key[16] = "redrive table 1";
    return siphash(key, data, len).low;
}

static struct redrive_entry *entry_at(const struct redrive_table *table, size_t n)
{
    return &table->blocks[n / BLOCK][n % BLOCK];
}

static uint64_t entry_hash(uint32_t topic, int32_t partition, int64_t offset)
{
    struct {
        int64_t offset;
        uint32_t topic;
        int32_t partition;
    } id = {offset, topic, partition};
    return hash_of(&id, sizeof(id));
}

static uint64_t hash_in(const struct redrive_table *table, const struct map *map, uint32_t number)
{
    if (map == &table->name_map)
        return hash_of(table->names[number], strlen(table->names[number]));
    struct redrive_entry *entry = entry_at(table, number);
    return entry_hash(entry->id_topic, entry->id_partition, entry->id_offset);
}

static void put(struct map *map, uint64_t hash, uint32_t number)
{
    size_t at = hash & (map->size - 1);
    while (map->slots[at])
        at = (at + 1) & (map->size - 1);
    map->slots[at] = number + 1;
    map->used++;
}

static void map_add(const struct redrive_table *table, struct map *map, uint64_t hash,
                    uint32_t number)
{
    if (2 * (map->used + 1) > map->size) {
        struct map grown = {.size = map->size ? 2 * map->size : 64};
        grown.slots = mem_calloc(grown.size, sizeof(*grown.slots));
        for (size_t i = 0; i < map->size; i++) {
            if (map->slots[i])
                put(&grown, hash_in(table, map, map->slots[i] - 1), map->slots[i] - 1);
        }
        mem_free(map->slots);
        *map = grown;
    }
    put(map, hash, number);
}

/* ---- names ---- */

static bool find_name(const struct redrive_table *table, struct slice text, uint32_t *number)
{
    const struct map *map = &table->name_map;
    size_t at = map->size ? hash_of(text.data, text.len) & (map->size - 1) : 0;
    for (; map->size && map->slots[at]; at = (at + 1) & (map->size - 1)) {
        *number = map->slots[at] - 1;
        if (slice_equal_text(text, table->names[*number]))
            return true;
    }
    return false;
}

/* A name that holds a NUL is nobody's. */
static uint32_t name_of(struct redrive_table *table, struct slice text)
{
    uint32_t number;
    if (text.len == 0 || memchr(text.data, '\0', text.len))
        return 0;
    if (find_name(table, text, &number))
        return number;
    number = (uint32_t)table->name_count;
    table->names = mem_realloc(table->names, (table->name_count + 1) * sizeof(*table->names));
    table->names[table->name_count++] = mem_strndup(text.data, text.len);
    map_add(table, &table->name_map, hash_of(text.data, text.len), number);
    return number;
}

const char *redrive_table_name(const struct redrive_table *table, uint32_t number)
{
    return table->names[number];
}

/* ---- making ---- */

struct redrive_table *redrive_table_new(const char *group, const struct dlq_filter *filter,
                                        int64_t before_ms, const char *id, struct err *err)
{
    struct redrive_table *table = mem_zalloc(sizeof(*table));
    table->group = mem_strdup(group);
    table->filter = filter;
    table->before_ms = before_ms;
    table->names = mem_calloc(1, sizeof(*table->names));
    table->names[0] = mem_strdup("");
    table->name_count = 1;
    table->found = mem_calloc(filter->id_count + 1, sizeof(*table->found));
    table->own = name_of(table, slice_of(id));
    for (size_t i = 0; i < filter->id_count; i++) {
        uint64_t low = (uint64_t)filter->ids[i].offset & 0xffff;
        table->offsets[low / 64] |= UINT64_C(1) << (low & 63);
    }
    if (filter->text)
        table->words = dlq_words_new(filter->text, err);
    if (filter->text && !table->words)
        redrive_table_free(&table);
    return table;
}

void redrive_table_keep_keys(struct redrive_table *table)
{
    table->keep_keys = true;
}

void redrive_table_free(struct redrive_table **pointer)
{
    struct redrive_table *table = *pointer;
    if (!table)
        return;
    *pointer = NULL;
    for (size_t i = 0; i < table->name_count; i++)
        mem_free(table->names[i]);
    for (size_t i = 0; table->keep_keys && i < table->entry_count; i++)
        mem_free(entry_at(table, i)->key);
    for (size_t i = 0; i * BLOCK < table->entry_count; i++)
        mem_free(table->blocks[i]);
    mem_free(table->names);
    mem_free(table->blocks);
    mem_free(table->name_map.slots);
    mem_free(table->entry_map.slots);
    mem_free(table->found);
    dlq_words_free(&table->words);
    mem_free(table->group);
    buf_deinit(&table->text);
    mem_free(table);
}

static struct redrive_entry *find_entry(const struct redrive_table *table, uint32_t topic,
                                        int32_t partition, int64_t offset)
{
    const struct map *map = &table->entry_map;
    size_t at = map->size ? entry_hash(topic, partition, offset) & (map->size - 1) : 0;
    for (; map->size && map->slots[at]; at = (at + 1) & (map->size - 1)) {
        struct redrive_entry *entry = entry_at(table, map->slots[at] - 1);
        if (entry->id_offset == offset && entry->id_partition == partition &&
            entry->id_topic == topic)
            return entry;
    }
    return NULL;
}

static struct redrive_entry *entry_of(struct redrive_table *table, const struct letter_id *id)
{
    uint32_t topic = name_of(table, id->topic);
    struct redrive_entry *entry = find_entry(table, topic, id->partition, id->offset);
    size_t number = table->entry_count;
    if (entry)
        return entry;
    if (number % BLOCK == 0) {
        table->blocks = mem_realloc(table->blocks, (number / BLOCK + 1) * sizeof(*table->blocks));
        table->blocks[number / BLOCK] = mem_calloc(BLOCK, sizeof(struct redrive_entry));
    }
    table->entry_count++;
    entry = entry_at(table, number);
    entry->id_topic = topic;
    entry->id_partition = id->partition;
    entry->id_offset = id->offset;
    map_add(table, &table->entry_map, entry_hash(topic, id->partition, id->offset),
            (uint32_t)number);
    return entry;
}

struct letter_id redrive_entry_id(const struct redrive_table *table,
                                  const struct redrive_entry *entry)
{
    return (struct letter_id){.topic = slice_of(table->names[entry->id_topic]),
                              .partition = entry->id_partition,
                              .offset = entry->id_offset};
}

/* ---- the filter ---- */

static bool takes(const struct redrive_table *table, const struct record *rec,
                  const struct dead_letter *letter)
{
    return dlq_filter_takes(table->filter, rec, letter) &&
           (!table->words || dlq_words_match(table->words, rec));
}

/* Of a selection: whether it names this record. */
static bool is_selected(struct redrive_table *table, const struct record *rec)
{
    const struct dlq_filter *filter = table->filter;
    bool any = false;
    if (!(table->offsets[(rec->offset & 0xffff) / 64] >> (rec->offset & 63) & 1))
        return false;
    for (size_t i = 0; i < filter->id_count; i++) {
        const struct dlq_id *id = &filter->ids[i];
        if (id->offset != rec->offset || id->partition != rec->partition ||
            !slice_equal_text(rec->topic, id->topic))
            continue;
        table->found[i] = any = true;
    }
    return any;
}

bool redrive_table_has(const struct redrive_table *table, const struct dlq_id *id)
{
    return table->found[id - table->filter->ids];
}

/* ---- filling ---- */

static void keep_key(struct redrive_entry *entry, const struct record *rec,
                     const struct dead_letter *letter)
{
    struct redrive_key *key;
    mem_free(entry->key);
    entry->key = NULL;
    if (!letter->has_number || slice_is_null(rec->key))
        return;
    key = entry->key = mem_alloc(sizeof(*key) + rec->key.len);
    key->epoch = letter->has_epoch ? letter->epoch : 0;
    key->number = letter->number;
    key->len = rec->key.len;
    if (rec->key.len > 0)
        memcpy(key->bytes, rec->key.data, rec->key.len);
}

static void take_letter(struct redrive_table *table, struct redrive_entry *entry,
                        const struct record *rec, const struct dead_letter *letter)
{
    bool newer = !entry->has_letter || rec->offset >= entry->offset;
    bool selected = is_selected(table, rec);
    bool fits = takes(table, rec, letter);
    if (table->filter->id_count > 0)
        entry->matched = entry->matched || (selected && fits);
    else if (newer)
        entry->matched = fits;
    if (!newer)
        return;
    entry->has_letter = true;
    entry->topic = name_of(table, rec->topic);
    entry->partition = rec->partition;
    entry->offset = rec->offset;
    entry->origin_topic = name_of(table, letter->origin.topic);
    entry->origin_partition = letter->origin.partition;
    entry->origin_offset = letter->origin.offset;
    entry->foreign = letter->writer != LETTER_OWN || letter->origin.partition < 0 ||
                     letter->origin.offset < 0 || entry->origin_topic == 0 ||
                     !slice_equal_text(letter->group, table->group);
    if (letter->redrive_count > entry->redrive_count)
        entry->redrive_count = letter->redrive_count;
    if (table->keep_keys && entry->matched)
        keep_key(entry, rec, letter);
}

void redrive_table_add_letter(struct redrive_table *table, const char *uuid,
                              const struct record *rec)
{
    struct letter_id id = {slice_of(uuid), rec->partition, rec->offset}, first;
    struct dead_letter letter;
    dead_letter_read(rec, &letter);
    if (rec->timestamp_ms > table->before_ms &&
        (!table->own || !slice_equal_text(letter.redrive_id, table->names[table->own])))
        return;
    if (letter.writer == LETTER_OWN && letter.first_letter.len > 0 &&
        letter_id_read(letter.first_letter, &first, NULL))
        id = first;
    take_letter(table, entry_of(table, &id), rec, &letter);
}

static struct letter_state state_of(const struct redrive_table *table,
                                    const struct redrive_entry *entry)
{
    struct letter_state state = {.status = (enum letter_status)entry->status,
                                 .result = (enum letter_result)entry->result};
    if (entry->redrive)
        state.redrive_id = slice_of(table->names[entry->redrive]);
    return state;
}

enum redrive_told redrive_table_add_state(struct redrive_table *table, const struct letter_id *id,
                                          const struct letter_state *state,
                                          struct redrive_entry **out)
{
    struct redrive_entry *entry = entry_of(table, id);
    struct letter_state before = state_of(table, entry);
    *out = entry;
    entry->late = !letter_state_replaces(state, &before);
    if (entry->late)
        return TOLD_LATE;
    entry->status = (uint8_t)state->status;
    entry->result = (uint8_t)state->result;
    entry->redrive = name_of(table, state->redrive_id);
    entry->code = name_of(table, state->code);
    if (state->redrive_count > entry->redrive_count)
        entry->redrive_count = state->redrive_count;
    if (entry->mine && !entry->ended && entry->redrive == table->own && entry->result)
        return TOLD_END;
    return TOLD_NOTHING;
}

/* ---- the job's letters ---- */

void redrive_count_end(struct redrive_entry *entry, struct redrive_counts *counts)
{
    uint64_t *const of[LETTER_RESULTS] = {
        [LETTER_RESULT_RESOLVED] = &counts->resolved,
        [LETTER_RESULT_SUPERSEDED] = &counts->superseded,
        [LETTER_RESULT_DROPPED] = &counts->dropped,
        [LETTER_RESULT_DUPLICATE] = &counts->duplicate,
        [LETTER_RESULT_FAILED] = &counts->failed,
    };
    if (entry->ended || !of[entry->result])
        return;
    entry->ended = true;
    ++*of[entry->result];
}

void redrive_skip(struct redrive_entry *entry, enum redrive_skip why, struct redrive_counts *counts)
{
    entry->skipped = (uint8_t)(why + 1);
    counts->skipped[why]++;
}

void redrive_table_add_skipped(const struct redrive_table *table, struct redrive_skipped *list)
{
    for (size_t i = 0; i < table->entry_count; i++) {
        const struct redrive_entry *entry = entry_at(table, i);
        struct letter_id id = redrive_entry_id(table, entry);
        if (entry->skipped)
            redrive_skipped_add(list, (enum redrive_skip)(entry->skipped - 1), &id);
    }
}

static unsigned state_bit(const struct redrive_entry *entry)
{
    switch ((enum letter_status)entry->status) {
    case LETTER_REDRIVING:
        return DLQ_STATE_REDRIVING;
    case LETTER_RESOLVED:
        return DLQ_STATE_RESOLVED;
    case LETTER_ARCHIVED:
        return DLQ_STATE_ARCHIVED;
    default:
        return DLQ_STATE_OPEN;
    }
}

/* What the job has to do with an entry that the filter takes. */
static void sort_in(struct redrive_entry *entry, struct redrive_list *list,
                    struct redrive_counts *counts)
{
    unsigned state = state_bit(entry);
    counts->total++;
    if (state == DLQ_STATE_RESOLVED)
        redrive_skip(entry, SKIP_RESOLVED, counts);
    else if (state == DLQ_STATE_ARCHIVED)
        redrive_skip(entry, SKIP_ARCHIVED, counts);
    else if (state == DLQ_STATE_REDRIVING)
        redrive_skip(entry, SKIP_ON_ITS_WAY, counts);
    else if (entry->foreign)
        redrive_skip(entry, SKIP_FOREIGN, counts);
    else
        list->items[list->count++] = entry;
}

static bool is_same_origin(const struct redrive_entry *a, const struct redrive_entry *b)
{
    return a->origin_topic == b->origin_topic && a->origin_partition == b->origin_partition &&
           a->origin_offset == b->origin_offset;
}

static int by_origin(const void *a, const void *b)
{
    const struct redrive_entry *x = *(struct redrive_entry *const *)a;
    const struct redrive_entry *y = *(struct redrive_entry *const *)b;
    if (x->origin_topic != y->origin_topic)
        return x->origin_topic < y->origin_topic ? -1 : 1;
    if (x->origin_partition != y->origin_partition)
        return x->origin_partition < y->origin_partition ? -1 : 1;
    if (x->origin_offset != y->origin_offset)
        return x->origin_offset < y->origin_offset ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* A crash may have left two letters of one record: a redrive sends one copy of it. */
static void drop_twins(struct redrive_list *list, struct redrive_counts *counts)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct redrive_entry *last = kept > 0 ? list->items[kept - 1] : NULL;
        if (last && is_same_origin(last, list->items[i]))
            redrive_skip(list->items[i], SKIP_ON_ITS_WAY, counts);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

void redrive_table_list(struct redrive_table *table, struct redrive_list *list,
                        struct redrive_counts *counts)
{
    unsigned states = table->filter->id_count > 0 && table->filter->states == 0
                          ? DLQ_STATE_OPEN | DLQ_STATE_REDRIVING | DLQ_STATE_RESOLVED |
                                DLQ_STATE_ARCHIVED
                          : dlq_filter_states(table->filter);
    *counts = (struct redrive_counts){0};
    list->items = mem_calloc(table->entry_count + 1, sizeof(struct redrive_entry *));
    list->count = 0;
    for (size_t i = 0; i < table->entry_count; i++) {
        struct redrive_entry *entry = entry_at(table, i);
        if (table->own && entry->redrive == table->own) {
            entry->mine = true;
            counts->total++;
            counts->eligible++;
            counts->sent++;
            redrive_count_end(entry, counts);
        } else if (entry->has_letter && entry->matched && (states & state_bit(entry))) {
            sort_in(entry, list, counts);
        }
    }
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(*list->items), by_origin);
    drop_twins(list, counts);
    counts->eligible += list->count;
}
