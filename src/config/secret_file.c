/* Reads secrets. Must not put any of the content into an error. */
#include "config/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define SECRET_MAX ((size_t)64 << 10)

static bool read_all(int fd, const char *path, char **out, struct err *err)
{
    char *text = mem_alloc(SECRET_MAX + 2);
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, text + len, SECRET_MAX + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                break;
            mem_free(text);
            return err_set(err, ERR_CONFIG, "%s cannot be read: %s", path, strerror(errno));
        }
        len += (size_t)n;
        if (len > SECRET_MAX) {
            mem_free(text);
            return err_set(err, ERR_CONFIG, "%s is larger than 64 KiB", path);
        }
    }
    if (len && text[len - 1] == '\n')
        len--;
    if (len && text[len - 1] == '\r')
        len--;
    text[len] = '\0';
    if (len == 0 || memchr(text, '\0', len)) {
        mem_free(text);
        return err_set(err, ERR_CONFIG, len ? "%s holds a NUL character" : "%s is empty", path);
    }
    *out = text;
    return true;
}

bool secret_file_read(const char *path, char **out, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return err_set(err, ERR_CONFIG, "%s cannot be opened: %s", path, strerror(errno));
    bool ok;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        ok = err_set(err, ERR_CONFIG, "%s is no plain file", path);
    else
        ok = read_all(fd, path, out, err);
    close(fd);
    return ok;
}
