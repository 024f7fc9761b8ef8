/*
 * Processes; see demo_child.h. Between fork and exec only calls that are safe there: librdkafka's
 * threads may hold any lock at that moment.
 */
#include "demo_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_EVERY_MS 10

static void become(const char *const argv[], int in, int out, int log, pid_t parent) NO_RETURN;
static void become(const char *const argv[], int in, int out, int log, pid_t parent)
{
    static const char missing[] = "cannot be started: is it installed?\n";
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have died before the line above. */
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(log, STDERR_FILENO) >= 0) {
        close_range(STDERR_FILENO + 1, ~0u, 0);
        execvp(argv[0], (char *const *)(uintptr_t)argv); /* it changes nothing */
        if (write(STDERR_FILENO, argv[0], strlen(argv[0])) > 0 &&
            write(STDERR_FILENO, ": ", 2) > 0 &&
            write(STDERR_FILENO, missing, sizeof(missing) - 1) > 0)
            _exit(127);
    }
    _exit(127);
}

bool child_start(struct child *child, const char *const argv[], const char *log, bool piped,
                 struct err *err)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int ends[2] = {-1, -1};
    pid_t parent = getpid(), pid = -1;
    if (in >= 0 && log_fd >= 0 && (!piped || pipe2(ends, O_CLOEXEC) == 0)) {
        pid = fork();
        if (pid == 0)
            become(argv, in, piped ? ends[1] : log_fd, log_fd, parent);
    }
    if (pid < 0)
        (void)err_set(err, ERR_IO, "%s cannot be started (log %s): %s", child->name, log,
                      strerror(errno));
    if (in >= 0)
        close(in);
    if (log_fd >= 0)
        close(log_fd);
    if (ends[1] >= 0)
        close(ends[1]);
    if (pid < 0) {
        if (ends[0] >= 0)
            close(ends[0]);
        return false;
    }
    child->pid = pid;
    child->out = ends[0];
    child->ended = false;
    return true;
}

bool child_read_line(struct child *child, char *line, size_t size, int timeout_ms, struct err *err)
{
    uint64_t until = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    struct pollfd watch = {.fd = child->out, .events = POLLIN};
    size_t len = 0;
    for (;;) {
        uint64_t now = clock_mono_ns();
        char c;
        if (now >= until)
            return err_set(err, ERR_TIMEOUT, "%s said nothing within %d ms", child->name,
                           timeout_ms);
        if (poll(&watch, 1, (int)((until - now) / NS_PER_MS) + 1) <= 0)
            continue;
        if (read(child->out, &c, 1) != 1)
            return err_set(err, ERR_UNAVAILABLE, "%s ended at its start", child->name);
        if (c == '\n')
            break;
        if (len + 1 < size)
            line[len++] = c;
    }
    line[len] = '\0';
    return true;
}

bool child_running(struct child *child)
{
    pid_t found;
    if (child->pid == 0)
        return false;
    found = waitpid(child->pid, &child->status, WNOHANG);
    if (found == 0)
        return true;
    child->pid = 0;
    child->ended = found > 0;
    if (child->out >= 0)
        close(child->out);
    child->out = -1;
    return false;
}

void child_signal(const struct child *child, int signo)
{
    if (child->pid > 0)
        kill(child->pid, signo);
}

static bool ends_within(struct child *child, int ms)
{
    uint64_t until = clock_mono_ns() + (uint64_t)ms * NS_PER_MS;
    struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * (long)NS_PER_MS};
    while (child_running(child)) {
        if (clock_mono_ns() >= until)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

void child_end(struct child *child, int signo, int grace_ms)
{
    child_signal(child, signo);
    if (ends_within(child, grace_ms))
        return;
    child_signal(child, SIGKILL);
    (void)ends_within(child, grace_ms);
}
