/* Endpoints that are not in this version. */
#include "console/console_parts.h"

void api_jobs(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_job(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_job_start(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_job_plan(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_job_cancel(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_archive(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_purge(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}

void api_audit(void *arg, struct call *call, const struct route_match *match)
{
    (void)arg;
    (void)match;
    front_problem(call, 501, "not in this version");
}
