/*
 * Which Kafka headers are CloudEvents attributes. The Kafka binding writes ce_<name>; bridges from
 * AMQP leave cloudEvents:<name> and cloudEvents_<name>. A name outside [a-z0-9] is no attribute and
 * is not passed on as one.
 */
#include "handler/cloudevents.h"

#include <strings.h>

#define NAME_MAX_LEN 64

static bool is_name(struct slice s)
{
    if (s.len == 0 || s.len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

struct slice cloudevents_name(struct slice header)
{
    static const struct slice prefixes[] = {
        {"ce_", 3},
        {"cloudEvents:", 12},
        {"cloudEvents_", 12},
    };
    if (header.len == 0 || header.data[0] != 'c') /* as each of them begins */
        return SLICE_NULL;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (!slice_starts_with(header, prefixes[i]))
            continue;
        struct slice name = {header.data + prefixes[i].len, header.len - prefixes[i].len};
        return is_name(name) ? name : SLICE_NULL;
    }
    return SLICE_NULL;
}

enum cloudevents_attribute cloudevents_attribute_of(struct slice name)
{
    static const struct {
        const char *name;
        enum cloudevents_attribute attribute;
    } known[] = {
        {"specversion", CLOUDEVENTS_SPECVERSION},
        {"id", CLOUDEVENTS_ID},
        {"source", CLOUDEVENTS_SOURCE},
        {"type", CLOUDEVENTS_TYPE},
        {"time", CLOUDEVENTS_TIME},
        {"partitionkey", CLOUDEVENTS_PARTITIONKEY},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_equal_text(name, known[i].name))
            return known[i].attribute;
    }
    return CLOUDEVENTS_OTHER;
}

bool cloudevents_is_structured(struct slice content_type)
{
    static const char prefix[] = "application/cloudevents";

    return content_type.len >= sizeof(prefix) - 1 &&
           strncasecmp(content_type.data, prefix, sizeof(prefix) - 1) == 0;
}
