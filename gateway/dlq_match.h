/* Whether a filter takes a dead letter that was just read; its state aside. */
#ifndef OG_GATEWAY_DLQ_MATCH_H
#define OG_GATEWAY_DLQ_MATCH_H

#include <stdbool.h>

#include "dlq/filter.h"
#include "record/dead_letter.h"

bool dlq_match(const struct dlq_filter *filter, const struct record *rec,
               const struct dead_letter *letter);

#endif
