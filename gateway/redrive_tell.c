/* Jobs on stdout and stderr; see redrive_tell.h. */
#include "redrive_tell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "redrive_print.h"

static bool is_machine(const struct redrive_tell *tell)
{
    return tell->cli->output && strcmp(tell->cli->output, "table") != 0;
}

void redrive_tell_deinit(struct redrive_tell *tell)
{
    buf_deinit(&tell->line);
}

void redrive_tell_job(struct redrive_tell *tell, const struct redrive_job *job, bool cancel_asked)
{
    struct buf out = {0};
    if (is_machine(tell)) {
        redrive_job_write(&out, job);
        buf_add_char(&out, '\n');
    } else {
        redrive_print_job(job, cancel_asked, &out);
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_deinit(&out);
}

void redrive_tell_line(struct redrive_tell *tell, const struct redrive_job *job, bool cancel_asked)
{
    struct buf line = {0};
    if (is_machine(tell)) {
        redrive_tell_job(tell, job, cancel_asked);
        return;
    }
    redrive_print_progress(job, &line);
    printf("%s  %-10s %-8s  %s\n", job->id, redrive_print_status(job, cancel_asked),
           redrive_mode_name(job->mode), line.data);
    buf_deinit(&line);
}

void redrive_tell_progress(struct redrive_tell *tell, const struct redrive_job *job,
                           bool cancel_asked)
{
    bool live = isatty(STDERR_FILENO);
    struct buf line = {0};
    buf_printf(&line, "%s: ", redrive_print_status(job, cancel_asked));
    redrive_print_progress(job, &line);
    if (job->note)
        buf_printf(&line, " (%s)", job->note);
    if (!slice_equal(buf_slice(&line), buf_slice(&tell->line)))
        fprintf(stderr, live ? "\r\033[K%s" : "%s\n", line.data);
    tell->drawn = tell->drawn || live;
    fflush(stderr);
    buf_deinit(&tell->line);
    tell->line = line;
}

void redrive_tell_end(struct redrive_tell *tell)
{
    if (tell->drawn)
        fputc('\n', stderr);
    tell->drawn = false;
}

/* ---- what would be sent ---- */

static void add_ahead(const struct redrive_job *job, const struct redrive_ahead *ahead,
                      struct buf *out)
{
    buf_printf(out, "  %-10s %10" PRIu64 "  %s\n", "overtaken", ahead->overtaken,
               job->mode == REDRIVE_FORCE
                   ? "a later number of their key has succeeded: delivered all the same (force)"
                   : "a later number of their key has succeeded: superseded, not delivered");
    if (ahead->unknown > 0)
        buf_printf(out, "  %-10s %10" PRIu64 "  whether their key has moved on is not known%s%s\n",
                   "unknown", ahead->unknown, ahead->why[0] ? ": " : "", ahead->why);
}

void redrive_tell_plan(struct redrive_tell *tell, const struct redrive_job *job,
                       const struct redrive_counts *counts, const struct redrive_ahead *ahead)
{
    struct redrive_job would = *job;
    struct buf out = {0};
    would.counts = *counts;
    if (ahead && is_machine(tell)) {
        redrive_job_write(&out, &would);
        out.len--; /* the object goes on */
        buf_printf(&out, ",\"overtaken\":%" PRIu64 ",\"overtaken_unknown\":%" PRIu64 "}\n",
                   ahead->overtaken, ahead->unknown);
    } else {
        redrive_print_plan(counts, job, &out);
        if (ahead)
            add_ahead(job, ahead, &out);
    }
    fwrite(out.data, 1, out.len, ahead ? stdout : stderr);
    buf_deinit(&out);
}

/* ---- what is asked for ---- */

static bool read_number(struct cli *cli, const char *option, uint64_t most, uint64_t *out,
                        struct err *err)
{
    const char *text = cli_option(cli, option);
    *out = 0;
    if (!text || (str_to_u64(slice_of(text), out) && *out > 0 && *out <= most))
        return true;
    return err_set(err, ERR_USAGE, "%s takes a number from 1 to %" PRIu64 ", not %s", option, most,
                   text);
}

bool redrive_order_read(struct cli *cli, struct redrive_job *job, struct err *err)
{
    const char *mode = cli_option(cli, "--mode");
    uint64_t rate;
    job->reason = mem_strdup(cli_option(cli, "--reason"));
    if (!read_number(cli, "--rate", 1000000, &rate, err) ||
        !read_number(cli, "--limit", UINT32_MAX, &job->limit, err))
        return false;
    job->rate_per_s = (uint32_t)rate;
    if (mode && !redrive_mode_parse(slice_of(mode), &job->mode))
        return err_set(err, ERR_USAGE, "--mode takes if-newer or force, not %s", mode);
    return job->mode != REDRIVE_FORCE || job->reason ||
           err_set(err, ERR_USAGE, "--mode force takes a --reason, for the audit log");
}

bool redrive_may_force(const struct cli *cli, const struct redrive_job *job, const char *confirm,
                       struct err *err)
{
    char answer[32] = "";
    if (job->mode != REDRIVE_FORCE || cli->yes || (confirm && strcmp(confirm, "force") == 0))
        return true;
    if (!confirm && isatty(STDIN_FILENO)) {
        fputs("force delivers records although later ones of their keys have succeeded.\n"
              "Type force to go on: ",
              stderr);
        if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "force\n") == 0)
            return true;
    }
    return err_set(err, ERR_USAGE, "nothing is sent: --mode force wants \"force\" typed, or --yes");
}

int redrive_exit_code(const struct redrive_job *job)
{
    if (job->status == REDRIVE_FAILED)
        return EXIT_FAIL;
    return job->status == REDRIVE_CANCELLED || job->counts.failed > 0 ||
                   redrive_counts_on_their_way(&job->counts) > 0
               ? EXIT_PARTLY
               : EXIT_OK;
}
