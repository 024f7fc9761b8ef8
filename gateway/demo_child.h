/* The demo's processes: started in groups of their own (a Ctrl-C at the terminal is ours to pass
 * on), they die with this process whatever ends it, and are ended by their ids only. */
#ifndef OG_GATEWAY_DEMO_CHILD_H
#define OG_GATEWAY_DEMO_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct child {
    const char *name; /* for messages; borrowed */
    pid_t pid;        /* 0: not running */
    int out;          /* the reading end of its stdout, or -1 */
    int status;       /* of waitpid, once it has ended */
    bool ended;       /* it ran, and its status is known */
};

#define CHILD_INIT(n) ((struct child){.name = (n), .out = -1})

/* argv[0] is looked up in PATH. stderr, and stdout unless piped, are appended to log. */
bool child_start(struct child *child, const char *const argv[], const char *log, bool piped,
                 struct err *err) MUST_CHECK;
/* The first line of its stdout, without the newline; blocks for at most timeout_ms. */
bool child_read_line(struct child *child, char *line, size_t size, int timeout_ms,
                     struct err *err) MUST_CHECK;
/* True if it runs; reaps it where it has ended. Never blocks. */
bool child_running(struct child *child);
void child_signal(const struct child *child, int signo);
/* Sends the signal and waits; SIGKILL after grace_ms. Does nothing where it is not running. */
void child_end(struct child *child, int signo, int grace_ms);

#endif
