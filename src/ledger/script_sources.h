#ifndef LEDGER_SCRIPT_SOURCES_H
#define LEDGER_SCRIPT_SOURCES_H

#include <stddef.h>

/* The scripts of lua/, compiled in: name without ".lua", text with its includes spelled out. */
struct ledger_script_source {
    const char *name;
    const char *text; /* NUL-terminated */
};

extern const struct ledger_script_source ledger_script_sources[]; /* sorted by name */
extern const size_t ledger_script_source_count;

#endif
