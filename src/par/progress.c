#include <mpivf/progress.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double QUIET = 2; /* seconds before a phase shows itself */
static const double LOG_EVERY = 10, BAR_EVERY = 0.5;

void
mpivf_report_figure(struct mpivf_report *report, const char *name, double value)
{
    if (report->figures < MPIVF_FIGURES)
        report->figure[report->figures++] = (struct mpivf_figure){name, value};
}

void
mpivf_phase_begin(struct mpivf_progress *progress, const struct mpivf_par *par,
                  struct mpivf_report *report, const char *name, const char *unit, uint64_t total)
{
    int at = report->phases < MPIVF_PHASES ? report->phases++ : MPIVF_PHASES - 1;
    *progress = (struct mpivf_progress){.par = par,
                                        .phase = &report->phase[at],
                                        .unit = unit,
                                        .total = total,
                                        .start = mpivf_seconds()};
    progress->shown = progress->start;
    memset(progress->phase, 0, sizeof *progress->phase);
    snprintf(progress->phase->name, sizeof progress->phase->name, "%s", name);
    par->ctx->memory.peak = par->ctx->memory.used;
}

static void
show(struct mpivf_progress *progress, double now)
{
    double seconds = now - progress->start, rate = (double)progress->done / seconds;
    bool bar = isatty(STDERR_FILENO);
    if (seconds < QUIET || now - progress->shown < (bar ? BAR_EVERY : LOG_EVERY))
        return;
    progress->shown = now;
    char total[32] = "", left[32] = "", share[48] = "";
    if (progress->total > 0 && rate > 0) {
        snprintf(total, sizeof total, " of %llu", (unsigned long long)progress->total);
        snprintf(left, sizeof left, ", %.0f s left",
                 (double)(progress->total - progress->done) / rate);
    }
    if (progress->peak > 0)
        snprintf(share, sizeof share, ", %.0f %% of the kernel's peak",
                 100 * rate * progress->work / progress->peak);
    /* a leading \r asks the note function to write over the last line */
    mpivf_note(progress->par->ctx, "%s%s: %llu%s %s, %.0f %s/s%s%s", bar ? "\r" : "",
               progress->phase->name, (unsigned long long)progress->done, total, progress->unit,
               rate, progress->unit, share, left);
}

mpivf_status
mpivf_round_all(struct mpivf_progress *progress, mpivf_status status, uint64_t done, bool left,
                bool *more)
{
    const struct mpivf_par *par = progress->par;
    int64_t sums[2] = {(int64_t)done, left && status == MPIVF_OK};
    mpivf_sum_all(par, sums, 2);
    progress->done += (uint64_t)sums[0];
    if (progress->total > 0 && progress->done > progress->total)
        progress->total = progress->done;
    status = mpivf_agree_all(par, status);
    *more = status == MPIVF_OK && sums[1] > 0;
    if (par->rank == 0 && *more)
        show(progress, mpivf_seconds());
    return status;
}

void
mpivf_phase_end(struct mpivf_progress *progress)
{
    struct mpivf_context *ctx = progress->par->ctx;
    struct mpivf_phase *phase = progress->phase;
    phase->seconds = mpivf_seconds() - progress->start;
    phase->buffer_peak = ctx->memory.peak;
    phase->resident_peak = mpivf_memory_resident();
    if (progress->par->rank == 0 && phase->seconds >= QUIET)
        mpivf_note(ctx, "%s: %llu %s in %.1f s", phase->name, (unsigned long long)progress->done,
                   progress->unit, phase->seconds);
}
