/* A folder under /tmp; see index_place.h. */
#include "index_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void index_place_make(struct index_place *place)
{
    snprintf(place->folder, sizeof(place->folder), "/tmp/og-index-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/index", place->folder);
}

void index_place_remove(const struct index_place *place)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-writer"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char name[sizeof(place->path) + 8];
        snprintf(name, sizeof(name), "%s%s", place->path, suffixes[i]);
        unlink(name);
    }
    rmdir(place->folder);
}
