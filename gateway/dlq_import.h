/* dlq import by a console. */
#ifndef OG_GATEWAY_DLQ_IMPORT_H
#define OG_GATEWAY_DLQ_IMPORT_H

#include "cmd_dlq.h"
#include "import_lines.h"

/* The exit code. */
int dlq_import_by_console(struct dlq *dlq, struct import_lines *lines);

#endif
