/* See index_path.h. */
#include "console/index_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define NAME "oncegate/dead-letters.db"

static char *preset(struct err *err)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (geteuid() == 0)
        return mem_strdup("/var/lib/" NAME);
    if (state && state[0] == '/')
        return mem_printf("%s/" NAME, state);
    if (home && home[0] == '/')
        return mem_printf("%s/.local/state/" NAME, home);
    (void)err_set(err, ERR_CONFIG, "neither XDG_STATE_HOME nor HOME is set: set console.index");
    return NULL;
}

/* All folders above the file. */
static bool make_folders(char *path, struct err *err)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        int failed;
        *at = '\0';
        failed = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
        if (failed)
            return err_set(err, ERR_IO, "console.index: cannot make %s: %s", path,
                           strerror(failed));
        *at = '/';
    }
    return true;
}

char *index_path(const char *given, struct err *err)
{
    char *path = given ? mem_strdup(given) : preset(err);
    if (path && !make_folders(path, err)) {
        mem_free(path);
        return NULL;
    }
    return path;
}
