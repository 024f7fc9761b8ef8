/*
 * The suspicion of a producer that counts anew; see restarts.h.
 *
 * What ordinary doubles look like: a producer that heard no acknowledgement sends what it has just
 * sent, so the number is the last or near it, a batch of such is older than what stands before it
 * in the partition, and new numbers come between one of them and the next. A producer that counts
 * anew is far below the last number at once, where the key has come far; or it uses one number
 * after the other while the last stays where it is. A program that sends old records again on
 * purpose looks the same.
 *
 * Invariant: an entry is of one key, overwritten by another of its place.
 */
#include "flow/restarts.h"

#include <string.h>

#include "base/mem.h"

#define PLACES 8192

struct run {
    uint64_t key;
    uint64_t number, last; /* of the newest record of the run, and of its key then */
    uint32_t length;       /* 0: free */
};

struct restarts {
    struct run runs[PLACES];
    uint64_t suspected_ms, told_ms;
    uint64_t untold;
    bool any, told;
};

struct restarts *restarts_new(void)
{
    return mem_zalloc(sizeof(struct restarts));
}

void restarts_free(struct restarts **restarts)
{
    mem_free(*restarts);
    *restarts = NULL;
}

static uint32_t run_length(struct restarts *restarts, const struct used_number *used)
{
    struct run *run = &restarts->runs[used->key % PLACES];
    uint64_t last = used->number + (used->behind - 1);
    bool goes_on = run->length > 0 && run->key == used->key && run->last == last &&
                   run->number + 1 == used->number;
    uint32_t length = goes_on ? run->length : 0;
    *run = (struct run){used->key, used->number, last,
                        length + (used->is_resent && goes_on ? 0 : 1)};
    return run->length;
}

bool restarts_suspect(struct restarts *restarts, const struct used_number *used, uint64_t now_ms)
{
    if (used->behind <= 1) /* the last number itself */
        return false;
    bool in_run = run_length(restarts, used) >= RESTARTS_RUN;
    if (used->is_resent || (!in_run && used->behind <= RESTARTS_FAR))
        return false;
    restarts->any = true;
    restarts->suspected_ms = now_ms;
    restarts->untold++;
    return true;
}

uint64_t restarts_to_tell(struct restarts *restarts, uint64_t now_ms)
{
    uint64_t count = restarts->untold;
    if (restarts->told && now_ms - restarts->told_ms < RESTARTS_TELL)
        return 0;
    restarts->told = true;
    restarts->told_ms = now_ms;
    restarts->untold = 0;
    return count;
}

bool restarts_recent(const struct restarts *restarts, uint64_t now_ms)
{
    return restarts->any && now_ms - restarts->suspected_ms < RESTARTS_RECENT;
}
