/* The merge of files that a user names: check that they belong together, then merge. */
#include <mpivf/build.h>

#include "build/join.h"
#include "build/merge.h"

#include <stdlib.h>
#include <string.h>

/* One input as rank 0 sees it. Plain data: copied to all ranks. */
struct chosen {
    uint64_t number; /* in the list given */
    uint64_t first;  /* row */
    uint64_t rows, rejected;
};

/* What rank 0 finds out. */
struct survey {
    struct mpivf_range *range; /* owned, all inputs' ranges */
    uint64_t ranges, source_rows, bytes;
    uint64_t model; /* number of the input whose centroids are taken; UINT64_MAX = none */
    uint64_t chosen;
};

static int
by_first(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static mpivf_status
add_ranges(struct mpivf_context *ctx, struct survey *survey, const struct mpivf_index *index)
{
    uint64_t total = survey->ranges + index->meta.ranges;
    struct mpivf_range *longer = mpivf_alloc(ctx, "row ranges", total, sizeof *longer);
    if (longer == NULL)
        return MPIVF_MEMORY;
    if (survey->ranges > 0)
        memcpy(longer, survey->range, survey->ranges * sizeof *longer);
    if (index->meta.ranges > 0)
        memcpy(longer + survey->ranges, index->range, index->meta.ranges * sizeof *longer);
    mpivf_free(ctx, survey->range);
    survey->range = longer;
    survey->ranges = total;
    return MPIVF_OK;
}

/* Take in one input; `first` is the first one that has rows, for comparison. */
static mpivf_status
survey_input(struct mpivf_context *ctx, struct survey *survey, struct mpivf_index *first,
             const char *path, uint64_t number, struct chosen *chosen)
{
    struct mpivf_index index;
    mpivf_status status = mpivf_index_open(ctx, path, &index);
    if (status == MPIVF_OK && index.meta.centroids > 0 && survey->model == UINT64_MAX)
        survey->model = number;
    bool model_only = status == MPIVF_OK && index.meta.source_rows == 0;
    if (status == MPIVF_OK && first->ctx != NULL && !model_only)
        status = mpivf_index_match(ctx, first, &index);
    if (status == MPIVF_OK && !model_only) {
        survey->source_rows = index.meta.source_rows;
        status = add_ranges(ctx, survey, &index);
        chosen[survey->chosen++] = (struct chosen){number,
                                                   index.meta.ranges ? index.range[0].row : 0,
                                                   index.meta.rows, index.meta.rejected};
        survey->bytes += mpivf_index_bytes(&index.meta);
    }
    if (status == MPIVF_OK && first->ctx == NULL && !model_only)
        *first = index; /* kept open */
    else
        mpivf_index_close(&index);
    return status;
}

/* Every row in one input and no more. */
static mpivf_status
check_cover(struct mpivf_context *ctx, struct survey *survey, bool partial)
{
    uint64_t overlap;
    survey->ranges = mpivf_range_normalise(survey->range, survey->ranges, &overlap);
    uint64_t rows = mpivf_range_rows(survey->range, survey->ranges);
    if (overlap != UINT64_MAX)
        return mpivf_fail(ctx, MPIVF_INPUT, "row %llu is in more than one shard",
                          (unsigned long long)overlap);
    if (rows == survey->source_rows || partial)
        return MPIVF_OK;
    uint64_t missing = survey->range[0].row > 0 ? 0 : survey->range[0].rows;
    return mpivf_fail(ctx, MPIVF_INPUT, "%llu of %llu rows are in no shard, the first is row %llu; a "
                      "shard is missing (--partial merges without it)",
                      (unsigned long long)(survey->source_rows - rows),
                      (unsigned long long)survey->source_rows, (unsigned long long)missing);
}

/* On rank 0: look at all inputs and put them in order. */
static mpivf_status
survey_inputs(struct mpivf_context *ctx, const char *const *input, uint64_t inputs, const char *path,
              const struct mpivf_merge_options *options, struct survey *survey, struct chosen *chosen)
{
    struct mpivf_index first = {.ctx = NULL};
    char folder[MPIVF_PATH];
    mpivf_status status = mpivf_file_writable(ctx, path, options->force);
    for (uint64_t i = 0; i < inputs && status == MPIVF_OK; i++)
        status = survey_input(ctx, survey, &first, input[i], i, chosen);
    if (status == MPIVF_OK && survey->chosen == 0)
        status = mpivf_fail(ctx, MPIVF_INPUT, "there is no shard among the inputs, only models");
    if (status == MPIVF_OK)
        status = check_cover(ctx, survey, options->partial);
    if (status == MPIVF_OK && survey->model == UINT64_MAX)
        status = mpivf_fail(ctx, MPIVF_INPUT, "no input has centroids; add the model file");
    if (status == MPIVF_OK && survey->model != chosen[0].number) {
        struct mpivf_index model;
        status = mpivf_index_open(ctx, input[survey->model], &model);
        if (status == MPIVF_OK && model.meta.model_fingerprint != first.meta.model_fingerprint)
            status = mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was made with another model than '%s'",
                                first.path, model.path);
        mpivf_index_close(&model);
    }
    uint64_t at_once = survey->chosen < options->fan_in ? survey->chosen : options->fan_in;
    if (status == MPIVF_OK)
        status = mpivf_memory_plan(ctx, "merging shards",
                                   mpivf_join_bytes(&first.meta, at_once, ctx->threads), 0,
                                   at_once > 2 ? "ask for a smaller --fan-in" : NULL, NULL);
    mpivf_path_folder(path, folder);
    const char *scratch = options->scratch ? options->scratch : folder;
    if (status == MPIVF_OK && survey->chosen > options->fan_in) /* a round beside the one before */
        status = mpivf_folder_space(ctx, scratch, 2 * survey->bytes, "the merge");
    if (status == MPIVF_OK)
        status = mpivf_folder_space(ctx, folder, survey->bytes, "the index");
    qsort(chosen, survey->chosen, sizeof *chosen, by_first);
    mpivf_index_close(&first);
    return status;
}

mpivf_status
mpivf_merge_files_all(const struct mpivf_par *par, const char *const *input, uint64_t inputs,
                      const char *path, const struct mpivf_merge_options *options,
                      struct mpivf_report *report, struct mpivf_built *built)
{
    struct mpivf_context *ctx = par->ctx;
    struct survey survey = {.model = UINT64_MAX};
    char folder[MPIVF_PATH];
    memset(built, 0, sizeof *built);
    struct chosen *chosen = mpivf_alloc_zero(ctx, "the inputs", inputs, sizeof *chosen);
    const char **ordered = mpivf_alloc(ctx, "the inputs", inputs, sizeof *ordered);
    mpivf_status status = chosen && ordered ? MPIVF_OK : MPIVF_MEMORY;
    if (status == MPIVF_OK)
        status = mpivf_claim_folder(ctx, path, options->scratch, "merge", folder);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK && par->rank == 0) {
        status = survey_inputs(ctx, input, inputs, path, options, &survey, chosen);
        if (status == MPIVF_OK)
            /* what a killed merge left */
            status = mpivf_claim_remove(ctx, folder, mpivf_work_owns);
        if (status == MPIVF_OK && survey.chosen > options->fan_in)
            status = mpivf_folder_create(ctx, folder);
    }
    mpivf_free(ctx, survey.range);
    survey.range = NULL;
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK) {
        mpivf_bcast_all(par, &survey, sizeof survey);
        mpivf_bcast_all(par, chosen, inputs * sizeof *chosen);
        for (uint64_t i = 0; i < survey.chosen; i++) {
            ordered[i] = input[chosen[i].number];
            built->rows += chosen[i].rows;
            built->rejected += chosen[i].rejected;
        }
        struct mpivf_merge merge = {.par = par,
                                    .input = ordered,
                                    .inputs = survey.chosen,
                                    .fan_in = options->fan_in,
                                    .model = input[survey.model],
                                    .folder = folder,
                                    .path = path};
        status = mpivf_merge_all(&merge, report);
        built->shards = survey.chosen;
        built->rounds = merge.rounds;
        built->bytes_written = merge.bytes_written;
        built->index_bytes = merge.index_bytes;
        mpivf_status removed = MPIVF_OK;
        if (par->rank == 0)
            removed = mpivf_claim_remove(ctx, folder, mpivf_work_owns);
        status = mpivf_agree_all(par, status ? status : removed);
    }
    mpivf_free(ctx, chosen);
    mpivf_free(ctx, ordered);
    return status;
}
