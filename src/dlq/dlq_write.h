/* One record of our own topics (jobs, states, audit), written once. Owning thread: the loop's. */
#ifndef OG_DLQ_DLQ_WRITE_H
#define OG_DLQ_DLQ_WRITE_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "kafka/producer.h"

/* Copies key and value (null stays null). done may be NULL; else it runs once, from the loop: err
 * is NULL when the brokers have it. Brokers that are away are waited for. */
void dlq_write(struct kafka_producer *producer, const char *topic, int32_t partition,
               struct slice key, struct slice value, void (*done)(void *arg, const struct err *err),
               void *arg);

#endif
