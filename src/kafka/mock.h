/*
 * A Kafka in this process that holds its records in memory, for demonstrations only: one broker on
 * a port of its own that other processes can use. It knows groups, commits and idempotent
 * producers; it has no transactions, creates no topics by request, forgets everything at its end
 * and keeps about 5 MB a partition. Runs on threads of its own; called from one thread.
 */
#ifndef OG_KAFKA_MOCK_H
#define OG_KAFKA_MOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct kafka_mock;

struct kafka_mock_topic {
    const char *name; /* borrowed during the call */
    int32_t partitions;
};

struct kafka_mock *kafka_mock_new(const struct kafka_mock_topic *topics, size_t count,
                                  struct err *err) MUST_CHECK;
void kafka_mock_free(struct kafka_mock **mock);
/* host:port, as bootstrap.servers wants it. Borrowed. */
const char *kafka_mock_bootstrap(const struct kafka_mock *mock);

#endif
