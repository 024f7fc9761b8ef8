/* What importing from files is, whoever produces. */
#ifndef OG_GATEWAY_DLQ_IMPORT_H
#define OG_GATEWAY_DLQ_IMPORT_H

#include "cmd_dlq.h"
#include "import_lines.h"

/* Whether what was found in the first pass may be produced. */
bool dlq_import_may(uint64_t good, uint64_t bad, bool skip_bad, struct err *err) MUST_CHECK;
/* The exit code. */
int dlq_import_by_console(struct dlq *dlq, struct import_lines *lines);

#endif
