/*
 * See job_metrics.h. Sums over the jobs of a group, when somebody asks. Of a job at work only ends
 * are counted, which nothing takes back; what it skipped and what it left on its way is counted
 * when the job has ended, since the next runner of a job that was broken off counts these anew.
 * Must not: fall.
 */
#include "console/job_metrics.h"

#include "base/mem.h"
#include "record/redrive_job.h"

enum { RESOLVED, SUPERSEDED, DROPPED, DUPLICATE, FAILED, LEFT, SKIPPED, RESULTS };

static const char *const names[RESULTS] = {"resolved", "superseded", "dropped", "duplicate",
                                           "failed",   "left",       "skipped"};

struct series {
    struct metric *metrics[RESULTS]; /* NULL: the group's jobs are not known yet */
    uint64_t told[RESULTS];
};

struct job_metrics {
    struct metrics *metrics;
    const struct redriving *redriving;
    struct series *series; /* of each group */
};

static void add_job(uint64_t sums[RESULTS], const struct redrive_job *job)
{
    const struct redrive_counts *counts = &job->counts;
    sums[RESOLVED] += counts->resolved;
    sums[SUPERSEDED] += counts->superseded;
    sums[DROPPED] += counts->dropped;
    sums[DUPLICATE] += counts->duplicate;
    sums[FAILED] += counts->failed;
    if (!redrive_status_is_end(job->status))
        return;
    sums[LEFT] += redrive_counts_on_their_way(counts);
    sums[SKIPPED] += redrive_counts_skipped(counts);
}

static void tell(struct job_metrics *self, struct series *series, const char *group,
                 const uint64_t sums[RESULTS])
{
    for (int i = 0; i < RESULTS; i++) {
        struct metric_label labels[] = {{"group", group}, {"result", names[i]}};
        if (!series->metrics[i])
            series->metrics[i] = metrics_counter(
                self->metrics, "redrive_records_total",
                "Records of redrive jobs by how they ended, as the jobs' records say.", labels, 2);
        if (sums[i] <= series->told[i])
            continue;
        metric_add(series->metrics[i], sums[i] - series->told[i]);
        series->told[i] = sums[i];
    }
}

void job_metrics_update(struct job_metrics *self)
{
    for (size_t i = 0; i < redriving_count(self->redriving); i++) {
        struct redriving_group group = redriving_at(self->redriving, i);
        uint64_t sums[RESULTS] = {0};
        if (!group.known)
            continue;
        for (size_t n = 0; n < jobs_count(group.jobs); n++) {
            const struct redrive_job *job = jobs_at(group.jobs, n);
            if (job)
                add_job(sums, job);
        }
        tell(self, &self->series[i], group.name, sums);
    }
}

struct job_metrics *job_metrics_new(struct metrics *metrics, const struct redriving *redriving)
{
    struct job_metrics *self = mem_zalloc(sizeof(*self));
    self->metrics = metrics;
    self->redriving = redriving;
    self->series = mem_calloc(redriving_count(redriving) + 1, sizeof(*self->series));
    return self;
}

void job_metrics_free(struct job_metrics **pointer)
{
    if (!*pointer)
        return;
    mem_free((*pointer)->series);
    mem_free(*pointer);
    *pointer = NULL;
}
