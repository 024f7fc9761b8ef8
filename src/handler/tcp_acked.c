/*
 * Asks the kernel. A file of its own, since <linux/tcp.h> and <netinet/tcp.h> define the same
 * names.
 */
#include "handler/tcp_acked.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/tcp.h>
#endif

bool tcp_acked(int fd, uint64_t *bytes)
{
#ifdef __linux__
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
        return false;
    *bytes = info.tcpi_bytes_acked;
    return true;
#else
    (void)fd;
    (void)bytes;
    return false;
#endif
}
