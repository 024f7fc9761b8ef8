/* Takes ports for the life of a test program; free_port() in tests/support/process.py takes them in
 * the same way, by the same file.
 *
 * A port that was merely free a moment ago is lost as soon as its server is killed: the kernel
 * gives it to a connection as its own end, or another test chooses it. So it is taken below those
 * that the kernel hands out, and the byte of its number in one file stays locked. Such a lock ends
 * with the process and is not inherited. It would end as well if any other descriptor of the file
 * were closed: the file is opened once. */
#include "ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST = 10000,
    END = 22000 /* from here on are those of scripts/kafka */
};

static void give_up(const char *what)
{
    fprintf(stderr, "ports: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* One past the last one: below those that the kernel hands out, unless it leaves nearly none. */
static unsigned end_of_range(void)
{
    unsigned first = END;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    if (file && fscanf(file, "%u", &first) != 1)
        first = END;
    if (file)
        fclose(file);
    return first < END && first >= FIRST + 1000 ? first : END;
}

static int open_locks(void)
{
    char path[40];
    snprintf(path, sizeof(path), "/tmp/oncegate-ports-%u", (unsigned)getuid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        give_up(path);
    return fd;
}

static bool lock_port(int locks, unsigned port)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = port, .l_len = 1};
    if (fcntl(locks, F_SETLK, &range) == 0)
        return true;
    if (errno != EACCES && errno != EAGAIN)
        give_up("lock");
    return false;
}

/* Of every address: a test's Redis may listen at all of them. */
static bool is_unused(unsigned port)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_ANY)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        give_up("socket");
    bool is_bound = bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
    close(fd);
    return is_bound;
}

uint16_t ports_take(void)
{
    static unsigned end, next, left;
    static int locks;
    if (!end) {
        locks = open_locks();
        end = end_of_range();
        left = end - FIRST;
        if (getrandom(&next, sizeof(next), 0) != sizeof(next))
            give_up("getrandom");
        next = FIRST + next % left;
    }
    while (left) {
        unsigned port = next;
        next = next + 1 < end ? next + 1 : FIRST;
        left--;
        if (lock_port(locks, port) && is_unused(port))
            return (uint16_t)port;
    }
    errno = EADDRINUSE;
    give_up("none is left");
    return 0;
}
