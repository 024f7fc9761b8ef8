/* Frees a configuration, by the table: a type that owns memory says so here and nowhere else. */
#include "base/mem.h"
#include "config/load.h"

static void release_text(void *place)
{
    char **text = place;

    mem_free(*text);
    *text = NULL;
}

static void release_texts(char ***texts, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        mem_free((*texts)[i]);
    mem_free(*texts);
    *texts = NULL;
    *count = 0;
}

static void release_properties(struct properties *props)
{
    for (size_t i = 0; i < props->count; i++) {
        mem_free(props->items[i].name);
        mem_free(props->items[i].value);
    }
    mem_free(props->items);
    *props = (struct properties){0};
}

static void release_headers(struct request_header **headers, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        mem_free((*headers)[i].name);
        mem_free((*headers)[i].value);
        mem_free((*headers)[i].file);
    }
    mem_free(*headers);
    *headers = NULL;
    *count = 0;
}

static void release_section(const char *section, void *item);

static void release_items(const struct schema_key *key, void **items, size_t *count)
{
    char section[SCHEMA_PATH_MAX];

    schema_section(key, section);
    for (size_t i = 0; i < *count; i++)
        release_section(section, load_at(*items, i * key->item_size));
    mem_free(*items);
    *items = NULL;
    *count = 0;
}

static void release_redis_url(struct redis_config *redis)
{
    release_text(&redis->host);
    release_text(&redis->unix_path);
    release_text(&redis->master);
    for (size_t i = 0; i < redis->place_count; i++)
        mem_free(redis->places[i].host);
    mem_free(redis->places);
    redis->places = NULL;
    redis->place_count = 0;
}

static void release_key(const struct schema_key *key, void *item)
{
    char section[SCHEMA_PATH_MAX];
    void *place = key->at == NO_PLACE ? NULL : load_at(item, key->at);
    size_t *count = load_at(item, key->count_at);

    switch (key->type) {
    case TYPE_SECTION:
        schema_section(key, section);
        release_section(section, item);
        break;
    case TYPE_ITEMS:
        release_items(key, place, count);
        break;
    case TYPE_TEXT:
    case TYPE_SECRET:
    case TYPE_SECRET_FILE:
        release_text(place);
        break;
    case TYPE_TEXTS:
        release_texts(place, count);
        break;
    case TYPE_DURATIONS:
        release_text(place);
        break;
    case TYPE_HEADERS:
        release_headers(place, count);
        break;
    case TYPE_PROPERTIES:
        release_properties(place);
        release_section(key->path, item);
        break;
    case TYPE_FIELD:
        release_text(&((struct field_source *)place)->name);
        break;
    case TYPE_LISTEN:
        release_text(&((struct listen_config *)place)->host);
        break;
    case TYPE_REDIS_URL:
        release_redis_url(place);
        break;
    default:
        break;
    }
}

static void release_section(const char *section, void *item)
{
    for (const struct schema_key *key = schema_keys; key->path; key++)
        if (schema_is_child(key, section))
            release_key(key, item);
}

void config_release(struct config *config)
{
    release_section("", config);
}
