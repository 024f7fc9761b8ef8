/* See import_plan.h. Must not: look at a line. */
#include "import_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define BAD_SHOWN 100 /* bad lines that are shown one by one */

void import_plan_deinit(struct import_plan *plan)
{
    for (size_t i = 0; i < plan->topic_count; i++)
        mem_free(plan->topics[i].name);
    mem_free(plan->topics);
    *plan = (struct import_plan){0};
}

void import_plan_add(struct import_plan *plan, const char *topic, uint64_t letters)
{
    size_t at = 0;
    while (at < plan->topic_count && strcmp(plan->topics[at].name, topic) != 0)
        at++;
    if (at == plan->topic_count) {
        plan->topics = mem_realloc(plan->topics, (at + 1) * sizeof(*plan->topics));
        plan->topics[plan->topic_count++] = (struct import_topic){mem_strdup(topic), 0};
    }
    plan->topics[at].letters += letters;
    plan->good += letters;
}

void import_plan_add_bad(struct import_plan *plan, uint64_t number, size_t column, const char *what)
{
    if (++plan->bad <= BAD_SHOWN)
        import_lines_complain(plan->lines, number, column, what);
}

static void say_plan(const struct import_plan *plan)
{
    for (size_t i = 0; i < plan->topic_count; i++)
        fprintf(stderr, "%" PRIu64 " to %s\n", plan->topics[i].letters, plan->topics[i].name);
    fprintf(stderr, "%" PRIu64 " dead letters, %" PRIu64 " bad lines left out\n", plan->good,
            plan->bad);
}

static bool is_good(const struct import_plan *plan, struct err *err)
{
    return plan->bad == 0 || cli_flag(plan->dlq->cli, "--skip-bad") ||
           err_set(err, ERR_INPUT,
                   "%" PRIu64 " of %" PRIu64 " lines are bad; nothing was produced "
                   "(--skip-bad leaves them out)",
                   plan->bad, plan->bad + plan->good);
}

bool import_plan_may(const struct import_plan *plan, bool looked, struct err *err, int *code)
{
    char question[120];
    if (plan->bad > BAD_SHOWN)
        fprintf(stderr, "%s: and %" PRIu64 " bad lines more\n", plan->lines->name,
                plan->bad - BAD_SHOWN);
    if (!looked || !is_good(plan, err)) {
        *code = cli_fail(err);
        return false;
    }
    say_plan(plan);
    *code = plan->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    if (cli_flag(plan->dlq->cli, "--dry-run") || plan->good == 0)
        return false;
    snprintf(question, sizeof(question),
             "%" PRIu64 " records are to be produced, as new dead letters.", plan->good);
    return dlq_may(plan->dlq, question, code);
}

int import_plan_ended(const struct import_plan *plan, uint64_t produced, const struct err *failed)
{
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " dead letters were produced\n", produced,
            plan->good);
    if (!failed)
        return plan->bad > 0 ? EXIT_PARTLY : EXIT_OK;
    int code = cli_fail(failed);
    return produced > 0 ? EXIT_PARTLY : code;
}
