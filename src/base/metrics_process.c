/*
 * process_* metrics from /proc and getrusage. Values are read when asked for and never kept: they
 * are the system's.
 */
#include "base/metrics_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static bool read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    return true;
}

static void add_u64(struct buf *out, const char *name, const char *type, const char *help,
                    uint64_t n)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
               n);
}

static void add_seconds(struct buf *out, const char *name, const char *type, const char *help,
                        double seconds)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.3f\n", name, help, name, type, name, seconds);
}

static void add_memory(struct buf *out)
{
    char text[256];
    if (!read_file("/proc/self/statm", text, sizeof(text)))
        return;
    char *rest = text;
    uint64_t virtual_pages = strtoull(rest, &rest, 10);
    uint64_t resident_pages = strtoull(rest, &rest, 10);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    add_u64(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
            virtual_pages * page);
    add_u64(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
            resident_pages * page);
}

static double timeval_s(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void add_cpu(struct buf *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return;
    add_seconds(out, "process_cpu_seconds_total", "counter",
                "Total user and system CPU time spent in seconds.",
                timeval_s(usage.ru_utime) + timeval_s(usage.ru_stime));
}

static void add_fds(struct buf *out)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    uint64_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    /* Without ".", ".." and the descriptor of the listing itself. */
    add_u64(out, "process_open_fds", "gauge", "Number of open file descriptors.",
            count > 3 ? count - 3 : 0);

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        add_u64(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                limit.rlim_cur);
}

/* Seconds since the Unix epoch at which the machine booted; 0: unknown. */
static uint64_t boot_time_s(void)
{
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    char line[256];
    uint64_t seconds = 0;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtoull(line + 6, NULL, 10);
    }
    fclose(file);
    return seconds;
}

static void add_start(struct buf *out)
{
    char text[1024];
    uint64_t boot_s = boot_time_s();
    if (boot_s == 0 || !read_file("/proc/self/stat", text, sizeof(text)))
        return;
    /* Field 2 is the program's name in brackets and may hold blanks; field 22 is the start in
     * ticks. */
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return;
    double ticks = (double)strtoull(at + 1, NULL, 10);
    add_seconds(out, "process_start_time_seconds", "gauge",
                "Start time of the process since unix epoch in seconds.",
                (double)boot_s + ticks / (double)sysconf(_SC_CLK_TCK));
}

void metrics_process_render(struct buf *out)
{
    add_cpu(out);
    add_memory(out);
    add_fds(out);
    add_start(out);
}
