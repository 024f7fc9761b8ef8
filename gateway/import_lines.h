/* The lines of a file that is to be imported: read twice, told of by their numbers. */
#ifndef OG_GATEWAY_IMPORT_LINES_H
#define OG_GATEWAY_IMPORT_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct import_lines {
    const char *name; /* of the file, for people */
    FILE *file;
    uint64_t number; /* of the last line */
    char *text;
    size_t cap;
};

/* "-" is stdin. A pipe is kept in a file without a name. import_lines_close in any case. */
bool import_lines_open(struct import_lines *lines, const char *name, struct err *err) MUST_CHECK;
void import_lines_close(struct import_lines *lines);
/* From the beginning, again. */
void import_lines_rewind(struct import_lines *lines);
/* The next line that is not empty, without its end, borrowed until the next one. False: there is
 * none. */
bool import_lines_next(struct import_lines *lines, struct slice *line);
/* False where not all could be read. */
bool import_lines_good(const struct import_lines *lines, struct err *err) MUST_CHECK;
/* "file:line:column: what" on stderr. */
void import_lines_complain(const struct import_lines *lines, uint64_t number, size_t column,
                           const char *what);

#endif
