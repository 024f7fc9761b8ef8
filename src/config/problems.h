/* Complaints about the configuration, gathered so that all of them are told at once. */
#ifndef OG_CONFIG_PROBLEMS_H
#define OG_CONFIG_PROBLEMS_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

/* Beyond this many the rest is dropped: a file that is wrong all over needs no longer list. */
#define PROBLEMS_MAX 200

/* path is transferred (heap text, may be NULL); line 0: at no one place. */
void problems_add(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                  char *path, const char *fmt, ...) PRINTF_LIKE(6, 7);
void problems_add_va(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                     char *path, const char *fmt, va_list args) PRINTF_LIKE(6, 0);
size_t problems_errors(const struct config_problems *problems);
/* By place in the file, those without a place last; keeps the order of equal ones. */
void problems_sort(struct config_problems *problems);

#endif
