/* The files of the web page, as web/build.mjs makes them at build time; empty where the build had
 * no Node. Only page.c reads it. */
#ifndef OG_CONSOLE_PAGE_FILES_H
#define OG_CONSOLE_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct page_file {
    const char *path; /* NULL ends the table; the first one is "/", the page itself */
    const char *type;
    const char *tag; /* ETag, with its quotes */
    const unsigned char *data;
    size_t size;
    bool gzip; /* data is gzipped */
};

extern const struct page_file page_files[];

#endif
