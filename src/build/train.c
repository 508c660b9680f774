#include <mpivf/train.h>

#include "base/then.h"
#include "build/kmeans.h"
#include "build/model.h"
#include "codec/loss.h"
#include "io/folder.h"
#include "io/output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void
mpivf_train_options_init(struct mpivf_train_options *options)
{
    *options = (struct mpivf_train_options){.seed = 1, .iterations = 10, .tolerance = 0.001};
}

enum {
    ROWS_A_LIST = 256,
    SLACK = 64 << 10 /* heads of allocations and small things */
};

static uint64_t
default_lists(uint64_t rows)
{
    uint64_t lists = (uint64_t)(4 * sqrt((double)rows));
    return lists > rows ? rows : lists < 1 ? 1 : lists;
}

uint64_t
mpivf_train_lists(const struct mpivf_train_options *options, uint64_t rows)
{
    return options->lists ? options->lists : default_lists(rows);
}

/* Sampled rows, with the default filled in. */
static uint64_t
sample_of(const struct mpivf_train_options *options, uint64_t rows)
{
    uint64_t wanted =
        options->sample ? options->sample : ROWS_A_LIST * mpivf_train_lists(options, rows);
    return wanted < rows ? wanted : rows;
}

mpivf_status
mpivf_train_check(struct mpivf_context *ctx, const struct mpivf_train_options *options,
                  uint64_t rows)
{
    unsigned long long lists = mpivf_train_lists(options, rows), sample = sample_of(options, rows);
    if (rows < lists)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "%llu rows cannot fill %llu lists; ask for fewer --lists",
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
max_sampled(const struct mpivf_train_options *options, uint64_t sampled, uint64_t rows)
{
    double share = (double)sampled / (double)rows, full = (double)options->max_list * share;
    double max = full - 3 * sqrt(full * (1 - share));
    return options->max_list == 0 ? 0 : max < 2 ? 2 : (uint64_t)max;
}

/* The rows of the sample that a rank may get: an even share, and some more by chance. */
static uint64_t
share_of(const struct mpivf_par *par, uint64_t wanted)
{
    uint64_t even = wanted / (uint64_t)par->size;
    return par->size == 1 ? wanted : even + even / 8 + 64 < wanted ? even + even / 8 + 64 : wanted;
}

/*
 * Bytes of everything but the sample. As many lists as half full ones would be may be added by
 * cutting: rarely are there more.
 */
static size_t
rest_bytes(const struct mpivf_par *par, const struct mpivf_source *source,
           const struct mpivf_train_options *options)
{
    uint64_t lists = mpivf_train_lists(options, source->rows),
             wanted = sample_of(options, source->rows);
    uint64_t max = max_sampled(options, wanted, source->rows),
             added = max > 0 ? 2 * wanted / max : 0;
    added = added < MPIVF_MAX_LISTS - lists ? added : MPIVF_MAX_LISTS - lists;
    return mpivf_kmeans_bytes(options->metric, lists, added, source->dim, par->ctx->threads,
                              par->rank == 0);
}

size_t
mpivf_train_bytes(const struct mpivf_par *par, const struct mpivf_source *source,
                  const struct mpivf_train_options *options)
{
    size_t rest = rest_bytes(par, source, options), draw = mpivf_draw_bytes(source);
    size_t rows = share_of(par, sample_of(options, source->rows));
    return mpivf_sample_min_bytes(source->dim, rows, par->ctx->threads) +
           (rest > draw ? rest : draw) + SLACK;
}

/* What is left for this rank's sample when everything else that training needs has its room. */
static mpivf_status
plan_memory(const struct mpivf_par *par, const struct mpivf_source *source,
            const struct mpivf_train_options *options, size_t *memory)
{
    struct mpivf_context *ctx = par->ctx;
    char what[96];
    size_t left = 0;
    snprintf(what, sizeof what, "training %llu lists of %llu columns",
             (unsigned long long)mpivf_train_lists(options, source->rows),
             (unsigned long long)source->dim);
    size_t need = mpivf_train_bytes(par, source, options);
    mpivf_status status =
        mpivf_memory_plan(ctx, what, need, SIZE_MAX, "ask for fewer --lists", &left);
    if (status == MPIVF_OK)
        *memory = left - rest_bytes(par, source, options);
    return status;
}

/*
 * What the sampled rows lost before they came here, if they were float64. For l2 alone: the
 * objective of rows that are made unit vectors as float32 is off by more than float64 rows lose.
 */
static void
tell_loss_all(const struct mpivf_par *par, const struct mpivf_source *source,
              enum mpivf_metric metric, const struct mpivf_sample *sample,
              struct mpivf_train_summary *trained)
{
    struct mpivf_loss loss = {.decoded = sample->lost};
    trained->decoded = source->type == MPIVF_F64 && metric == MPIVF_L2;
    if (!trained->decoded)
        return;
    mpivf_loss_sum_all(par, &loss);
    trained->decode_error =
        mpivf_loss_share(loss.decoded, trained->objective * (double)trained->sample);
    if (par->rank == 0)
        mpivf_loss_warn_decoded(par->ctx, trained->decode_error);
}

/* Is there room for the model? */
static mpivf_status
check_space(struct mpivf_context *ctx, const char *path, uint64_t lists, uint64_t dim)
{
    char folder[MPIVF_PATH];
    mpivf_path_folder(path, folder);
    return mpivf_folder_space(ctx, folder, mpivf_model_bytes(lists, dim), "the model");
}

/* Train `coarse` (initialised here; to be cleared also after failure). The same on every rank. */
static mpivf_status
train_all(const struct mpivf_par *par, struct mpivf_source *source,
          const struct mpivf_train_options *options, struct mpivf_report *report, const char *path,
          struct mpivf_coarse *coarse, struct mpivf_train_summary *trained)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_progress progress;
    struct mpivf_sample sample = {0};
    memset(coarse, 0, sizeof *coarse);
    uint64_t lists = mpivf_train_lists(options, source->rows),
             wanted = sample_of(options, source->rows);
    struct mpivf_draw draw = {.path = path};
    mpivf_status status = mpivf_train_check(ctx, options, source->rows);
    if (status)
        return status;
    mpivf_kmeans_wanted(lists, wanted, draw.wanted);
    status = plan_memory(par, source, options, &draw.memory);
    if (status == MPIVF_OK && par->rank == 0)
        status = check_space(ctx, path, lists, source->dim);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;

    /* draw the sample; it stays in memory as far as that goes */
    uint64_t read_before = source->bytes_read, rowsum = 0;
    mpivf_phase_begin(&progress, par, report, "sample", "rows", wanted);
    status = mpivf_draw_all(par, source, options, &draw, &progress, &sample, &rowsum);
    progress.phase->rows = mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL);
    progress.phase->bytes_read = source->bytes_read - read_before;
    progress.phase->bytes_written = sample.bytes_written;
    mpivf_phase_end(&progress);

    /* train on it */
    mpivf_phase_begin(&progress, par, report, "k-means", "rows", wanted * options->iterations);
    THEN(status,
         mpivf_agree_all(par, mpivf_coarse_init(ctx, coarse, options->metric, lists, source->dim)));
    if (status == MPIVF_OK)
        status = mpivf_kmeans_all(par, &sample, options, max_sampled(options, wanted, source->rows),
                                  &progress, coarse, trained);
    progress.phase->rows = mpivf_sample_rows(&sample, MPIVF_SAMPLE_ALL);
    progress.phase->bytes_read = sample.bytes_read;
    mpivf_phase_end(&progress);
    if (status == MPIVF_OK)
        tell_loss_all(par, source, options->metric, &sample, trained);
    mpivf_sample_clear(&sample);
    trained->rowsum = rowsum;
    return status;
}

mpivf_status
mpivf_train_rowsum_all(const struct mpivf_par *par, struct mpivf_source *source,
                       const struct mpivf_train_options *options, struct mpivf_report *report,
                       uint64_t *rowsum)
{
    struct mpivf_draw draw = {.path = NULL};
    struct mpivf_progress progress;
    uint64_t wanted = sample_of(options, source->rows), read_before = source->bytes_read;
    mpivf_kmeans_wanted(mpivf_train_lists(options, source->rows), wanted, draw.wanted);
    mpivf_phase_begin(&progress, par, report, "sample again", "rows", wanted);
    mpivf_status status = mpivf_draw_rowsum_all(source, options, &draw, &progress, rowsum);
    progress.phase->bytes_read = source->bytes_read - read_before;
    mpivf_phase_end(&progress);
    return status;
}

/* With the rows that it was trained on, where that is asked for. */
static mpivf_status
write_model(struct mpivf_context *ctx, const struct mpivf_file *file,
            const struct mpivf_coarse *coarse, const struct mpivf_source *source,
            const struct mpivf_train_options *options, const struct mpivf_train_summary *trained)
{
    struct mpivf_stamp stamp = mpivf_source_stamp(source, NULL);
    stamp.rows = trained->rowsum;
    return mpivf_model_write(ctx, file, coarse, options, trained, options->stamp ? &stamp : NULL);
}

mpivf_status
mpivf_train_file_all(const struct mpivf_par *par, struct mpivf_source *source,
                     struct mpivf_output *output, const struct mpivf_train_options *options,
                     struct mpivf_report *report, struct mpivf_train_summary *trained)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_coarse coarse;
    mpivf_status status =
        train_all(par, source, options, report, mpivf_output_path(output), &coarse, trained);
    if (status == MPIVF_OK && par->rank == 0)
        status = write_model(ctx, &output->file, &coarse, source, options, trained);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_output_commit(ctx, output);
    mpivf_coarse_clear(&coarse);
    return mpivf_agree_all(par, status);
}

/* Write the model at `path` by way of a partial file beside it. */
static mpivf_status
write_at(struct mpivf_context *ctx, const char *path, const struct mpivf_coarse *coarse,
         const struct mpivf_source *source, const struct mpivf_train_options *options,
         const struct mpivf_train_summary *trained)
{
    char partial[MPIVF_PATH];
    struct mpivf_file file = {.fd = -1};
    mpivf_status status = mpivf_path(ctx, partial, "%s.partial", path);
    THEN(status, mpivf_file_create(ctx, partial, &file));
    if (status)
        return status;
    status = write_model(ctx, &file, coarse, source, options, trained);
    return mpivf_file_finish(ctx, &file, path, status);
}

mpivf_status
mpivf_train_path_all(const struct mpivf_par *par, struct mpivf_source *source, const char *path,
                     const struct mpivf_train_options *options, struct mpivf_report *report,
                     struct mpivf_train_summary *trained)
{
    struct mpivf_coarse coarse;
    mpivf_status status = train_all(par, source, options, report, path, &coarse, trained);
    if (status == MPIVF_OK && par->rank == 0)
        status = write_at(par->ctx, path, &coarse, source, options, trained);
    mpivf_coarse_clear(&coarse);
    return mpivf_agree_all(par, status);
}
