/* Jobs by their ids; see known_jobs.h. Invariant: an id stands here once. */
#include "dlq/known_jobs.h"

#include <string.h>

#include "base/mem.h"

static size_t place_of(const struct known_jobs *jobs, struct slice id, bool *found)
{
    size_t low = 0, high = jobs->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *at = jobs->items[middle]->job.id;
        size_t len = strlen(at), common = len < id.len ? len : id.len;
        int order = memcmp(at, id.data, common);
        if (order == 0)
            order = (len > id.len) - (len < id.len);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct known_job *known_jobs_find(const struct known_jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    return found ? jobs->items[at] : NULL;
}

struct known_job *known_jobs_find_or_add(struct known_jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    struct known_job *known;
    if (found)
        return jobs->items[at];
    jobs->items = mem_realloc(jobs->items, (jobs->count + 1) * sizeof(known));
    memmove(jobs->items + at + 1, jobs->items + at, (jobs->count - at) * sizeof(known));
    known = jobs->items[at] = mem_zalloc(sizeof(*known));
    known->job.id = mem_strndup(id.data, id.len);
    known->skipped_at = -1;
    jobs->count++;
    return known;
}

bool known_job_is_job(const struct known_job *known)
{
    return known->job.group != NULL;
}

void known_jobs_forget(struct known_jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    if (!found)
        return;
    redrive_job_deinit(&jobs->items[at]->job);
    mem_free(jobs->items[at]);
    jobs->count--;
    memmove(jobs->items + at, jobs->items + at + 1,
            (jobs->count - at) * sizeof(struct known_job *));
}

void known_jobs_deinit(struct known_jobs *jobs)
{
    while (jobs->count > 0)
        known_jobs_forget(jobs, slice_of(jobs->items[jobs->count - 1]->job.id));
    mem_free(jobs->items);
    *jobs = (struct known_jobs){0};
}
