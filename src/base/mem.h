/*
 * Memory. The plain calls abort with a clear message when the machine has no memory left;
 * sizes that a peer controls go through mem_try_alloc, which is bounded and fails.
 * The only file that calls malloc.
 */
#ifndef OG_BASE_MEM_H
#define OG_BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

void *mem_alloc(size_t size) MUST_CHECK;                /* not zeroed; never NULL */
void *mem_zalloc(size_t size) MUST_CHECK;               /* zeroed; never NULL */
void *mem_calloc(size_t count, size_t size) MUST_CHECK; /* zeroed, overflow checked; never NULL */
void *mem_realloc(void *p, size_t size) MUST_CHECK;     /* never NULL */
void *mem_try_alloc(size_t size, size_t limit) MUST_CHECK;  /* NULL above limit or without memory */
void mem_free(void *p);                                     /* NULL is fine */
char *mem_strdup(const char *text) MUST_CHECK;              /* NULL gives NULL */
char *mem_strndup(const char *data, size_t len) MUST_CHECK; /* NUL-terminated copy */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_CHECK; /* heap text */

/*
 * Large blocks go back to the system as soon as they are freed, from here on: each has a mapping of
 * its own. Left alone, glibc takes the size of the first one that is freed for one to keep, and
 * what is freed between records that are still at work stays ours.
 */
void mem_map_large(void);

/* Gives back to the system what was freed; where much was, and seldom. */
void mem_trim(void);

#endif
