/* See import_lines.h. */
#include "import_lines.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text_out.h"

/* A pipe is kept in a file without a name: it is read twice. */
static FILE *open_twice(const char *name, struct err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(name, "re");
    FILE *copy;
    char chunk[65536];
    size_t got;
    bool ok = true;
    if (!from) {
        (void)err_set(err, errno == EACCES ? ERR_DENIED : ERR_NO_FILE, "%s: %s", name,
                      strerror(errno));
        return NULL;
    }
    if (fseeko(from, 0, SEEK_SET) == 0)
        return from;
    copy = tmpfile();
    while (copy && ok && (got = fread(chunk, 1, sizeof(chunk), from)) > 0)
        ok = fwrite(chunk, 1, got, copy) == got;
    if (copy && ok && !ferror(from) && fseeko(copy, 0, SEEK_SET) == 0) {
        if (!is_stdin)
            fclose(from);
        return copy;
    }
    (void)err_set(err, ERR_IO, "%s cannot be kept to be read twice", name);
    if (copy)
        fclose(copy);
    return NULL;
}

bool import_lines_open(struct import_lines *lines, const char *name, struct err *err)
{
    *lines = (struct import_lines){.name = name, .file = open_twice(name, err)};
    return lines->file != NULL;
}

void import_lines_close(struct import_lines *lines)
{
    if (lines->file)
        fclose(lines->file);
    mem_free(lines->text);
    *lines = (struct import_lines){0};
}

void import_lines_rewind(struct import_lines *lines)
{
    rewind(lines->file);
    lines->number = 0;
}

bool import_lines_next(struct import_lines *lines, struct slice *line)
{
    ssize_t len;
    while ((len = getline(&lines->text, &lines->cap, lines->file)) >= 0) {
        lines->number++;
        while (len > 0 && (lines->text[len - 1] == '\n' || lines->text[len - 1] == '\r'))
            len--;
        *line = (struct slice){lines->text, (size_t)len};
        if (len > 0)
            return true;
    }
    return false;
}

bool import_lines_good(const struct import_lines *lines, struct err *err)
{
    return !ferror(lines->file) || err_set(err, ERR_IO, "%s cannot be read", lines->name);
}

void import_lines_complain(const struct import_lines *lines, uint64_t number, size_t column,
                           const char *what)
{
    struct buf text = {0};
    text_add_safe(&text, slice_of(what), false);
    fprintf(stderr, "%s:%" PRIu64 ":%zu: %s\n", lines->name, number, column,
            text.data ? text.data : "");
    buf_deinit(&text);
}
