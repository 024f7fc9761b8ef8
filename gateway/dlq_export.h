/* dlq export: the two ways to have it. */
#ifndef OG_GATEWAY_DLQ_EXPORT_H
#define OG_GATEWAY_DLQ_EXPORT_H

#include "cmd_dlq.h"

/* The exit code. limit 0: none. */
int dlq_export_by_console(struct dlq *dlq, const struct dlq_filter *filter, uint64_t limit);

#endif
