/*
 * hiredis frees what it has written, and allocates anew for the next call. glibc answers a request
 * for more than a kilobyte by joining all small blocks that lie free (malloc_consolidate), and
 * those that the next records want are then cut out again: 4 % of all instructions a record. So the
 * last large block is kept for the next call. Freed when its thread ends.
 */
#include "ledger/blocks.h"

#include <hiredis/alloc.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* What glibc calls large, and what is not worth holding on to. */
#define LARGE    1024
#define KEPT_MAX (256 * 1024)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t kept_key; /* the block of this thread, or NULL */
static hiredisAllocFuncs plain;

static void *take_kept(size_t size)
{
    void *kept = size >= LARGE ? pthread_getspecific(kept_key) : NULL;
    if (!kept || malloc_usable_size(kept) < size || pthread_setspecific(kept_key, NULL) != 0)
        return NULL;
    return kept;
}

static void *block_alloc(size_t size)
{
    void *kept = take_kept(size);
    return kept ? kept : plain.mallocFn(size);
}

static void block_free(void *block)
{
    size_t size = block ? malloc_usable_size(block) : 0;
    void *smaller = block;
    if (size >= LARGE && size <= KEPT_MAX) {
        void *kept = pthread_getspecific(kept_key);
        bool is_larger = !kept || malloc_usable_size(kept) < size;
        if (is_larger && pthread_setspecific(kept_key, block) == 0)
            smaller = kept;
    }
    plain.freeFn(smaller);
}

static void *block_realloc(void *block, size_t size)
{
    void *kept = take_kept(size);
    size_t used = block ? malloc_usable_size(block) : 0;
    if (!kept)
        return plain.reallocFn(block, size);
    if (used > 0)
        memcpy(kept, block, used < size ? used : size);
    block_free(block);
    return kept;
}

static void install(void)
{
    if (pthread_key_create(&kept_key, hiredisAllocFns.freeFn) != 0)
        return; /* out of keys: nothing is kept */
    plain = hiredisAllocFns;
    hiredisAllocFuncs ours = plain;
    ours.mallocFn = block_alloc;
    ours.reallocFn = block_realloc;
    ours.freeFn = block_free;
    (void)hiredisSetAllocators(&ours);
}

void blocks_install(void)
{
    pthread_once(&once, install);
}
