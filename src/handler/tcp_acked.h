/* How much of what was written a TCP peer has taken. */
#ifndef OG_HANDLER_TCP_ACKED_H
#define OG_HANDLER_TCP_ACKED_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that the peer has acknowledged since the connection was opened; also after it was reset.
 * False where that cannot be known: another kind of socket, or another kernel than Linux 4.1 and
 * later. */
bool tcp_acked(int fd, uint64_t *bytes);

#endif
