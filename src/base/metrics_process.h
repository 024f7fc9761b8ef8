/* What the system says about this process, under the names that Prometheus clients share (no own
 * prefix). */
#ifndef OG_BASE_METRICS_PROCESS_H
#define OG_BASE_METRICS_PROCESS_H

#include "base/buf.h"

/* Writes what can be read now; what the system does not tell is left out. */
void metrics_process_render(struct buf *out);

#endif
