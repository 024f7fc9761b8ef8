/* CloudEvents 1.0 in the HTTP binding's binary mode, from Kafka records. */
#ifndef OG_HANDLER_CLOUDEVENTS_H
#define OG_HANDLER_CLOUDEVENTS_H

#include <stdbool.h>

#include "base/slice.h"

/* The attributes that are written where a record does not bring its own. */
enum cloudevents_attribute {
    CLOUDEVENTS_SPECVERSION = 1 << 0,
    CLOUDEVENTS_ID = 1 << 1,
    CLOUDEVENTS_SOURCE = 1 << 2,
    CLOUDEVENTS_TYPE = 1 << 3,
    CLOUDEVENTS_TIME = 1 << 4,
    CLOUDEVENTS_PARTITIONKEY = 1 << 5,
    CLOUDEVENTS_OTHER = 1 << 6,
};

/*
 * A Kafka header that carries an attribute in binary mode (ce_<name>, cloudEvents:<name> or
 * cloudEvents_<name>): gives the attribute's name, which is [a-z0-9]{1,64}. Null otherwise.
 */
struct slice cloudevents_name(struct slice header);
enum cloudevents_attribute cloudevents_attribute_of(struct slice name);

/* The content type of a structured or batched event: the value is the whole event. */
bool cloudevents_is_structured(struct slice content_type);

#endif
