#include <mpivf/train.h>

#include "build/kmeans.h"
#include "build/model.h"

#include <math.h>
#include <string.h>

enum { ROWS_A_LIST = 256 };

static uint64_t
default_lists(uint64_t rows)
{
    uint64_t lists = (uint64_t)(4 * sqrt((double)rows));
    return lists > rows ? rows : lists < 1 ? 1 : lists;
}

/* Lists and sampled rows, with the defaults filled in. */
static uint64_t
lists_of(const struct mpivf_train_options *options, uint64_t rows)
{
    return options->lists ? options->lists : default_lists(rows);
}

static uint64_t
sample_of(const struct mpivf_train_options *options, uint64_t rows)
{
    uint64_t wanted = options->sample ? options->sample : ROWS_A_LIST * lists_of(options, rows);
    return wanted < rows ? wanted : rows;
}

mpivf_status
mpivf_train_check(struct mpivf_context *ctx, const struct mpivf_train_options *options, uint64_t rows)
{
    unsigned long long lists = lists_of(options, rows), sample = sample_of(options, rows);
    if (rows < lists)
        return mpivf_fail(ctx, MPIVF_INPUT, "%llu rows cannot fill %llu lists; ask for fewer --lists",
                          (unsigned long long)rows, lists);
    if (sample < lists)
        return mpivf_fail(ctx, MPIVF_USAGE, "a --sample of %llu rows is too small for %llu lists",
                          sample, lists);
    return MPIVF_OK;
}

/*
 * Rows of the sample in a list that is full, less three standard deviations of the drawing, so that
 * few lists that look full are more than that.
 */
static uint64_t
most_sampled(const struct mpivf_train_options *options, uint64_t sampled, uint64_t rows)
{
    double share = (double)sampled / (double)rows, full = (double)options->max_list * share;
    double most = full - 3 * sqrt(full * (1 - share));
    return options->max_list == 0 ? 0 : most < 2 ? 2 : (uint64_t)most;
}

/* What is left for this rank's sample when everything else that training needs has its room. */
static mpivf_status
plan_memory(const struct mpivf_par *par, const struct mpivf_train_options *options, uint64_t lists,
            size_t dim, size_t *memory)
{
    struct mpivf_context *ctx = par->ctx;
    size_t left = mpivf_memory_left(ctx);
    size_t need = mpivf_kmeans_bytes(options->metric, lists, dim, ctx->threads, par->rank == 0);
    if (left < need)
        return mpivf_fail(ctx, MPIVF_MEMORY, "training %llu lists of %zu columns needs %.1f MiB and a "
                          "sample, %.1f MiB are left; raise --memory or ask for fewer --lists",
                          (unsigned long long)lists, dim, (double)need / 1048576,
                          (double)left / 1048576);
    *memory = left - need;
    return MPIVF_OK;
}

/* Train `coarse` (initialised here; to be cleared also after failure). The same on every rank. */
static mpivf_status
train_all(const struct mpivf_par *par, struct mpivf_source *source,
          const struct mpivf_train_options *options, struct mpivf_report *report, const char *path,
          struct mpivf_coarse *coarse, struct mpivf_trained *trained)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_progress progress;
    struct mpivf_sample sample = {0};
    memset(coarse, 0, sizeof *coarse);
    uint64_t lists = lists_of(options, source->rows), wanted = sample_of(options, source->rows);
    struct mpivf_draw draw = {.path = path};
    mpivf_status status = mpivf_train_check(ctx, options, source->rows);
    if (status)
        return status;
    mpivf_kmeans_wanted(lists, wanted, draw.wanted);
    status = mpivf_agree_all(par, plan_memory(par, options, lists, source->dim, &draw.memory));
    if (status)
        return status;

    uint64_t read_before = source->bytes_read;
    mpivf_phase_begin(&progress, par, report, "sample", "rows", wanted);
    status = mpivf_draw_all(par, source, options, &draw, &progress, &sample);
    progress.phase->rows = mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL);
    progress.phase->bytes_read = source->bytes_read - read_before;
    progress.phase->bytes_written = sample.bytes_written;
    mpivf_phase_end(&progress);

    mpivf_phase_begin(&progress, par, report, "k-means", "rows", wanted * options->iterations);
    if (status == MPIVF_OK)
        status = mpivf_agree_all(
            par, mpivf_coarse_init(ctx, coarse, options->metric, lists, source->dim));
    if (status == MPIVF_OK)
        status = mpivf_kmeans_all(par, &sample, options, most_sampled(options, wanted, source->rows),
                                  &progress, coarse, trained);
    progress.phase->rows = mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL);
    progress.phase->bytes_read = sample.bytes_read;
    mpivf_phase_end(&progress);
    mpivf_sample_clear(&sample);
    return status;
}

mpivf_status
mpivf_train_file_all(const struct mpivf_par *par, struct mpivf_source *source,
                     const struct mpivf_train_options *options, struct mpivf_report *report,
                     const char *path, struct mpivf_trained *trained)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_coarse coarse;
    mpivf_status status = train_all(par, source, options, report, path, &coarse, trained);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_model_write(ctx, path, &coarse, options, trained);
    mpivf_coarse_clear(&coarse);
    return mpivf_agree_all(par, status);
}
