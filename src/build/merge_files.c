/* The merge of files that a user names: check that they belong together, then merge. */
#include <mpivf/build.h>

#include "base/row_set.h"
#include "base/then.h"
#include "build/join.h"
#include "build/merge.h"
#include "io/checksum.h"
#include "io/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
mpivf_merge_options_init(struct mpivf_merge_options *options)
{
    *options = (struct mpivf_merge_options){.fan_in = 16};
}

/* One input as rank 0 sees it. Plain data: copied to all ranks. */
struct chosen {
    uint64_t number; /* in the list given */
    uint64_t first;  /* row */
    uint64_t rows, rejected;
    bool stamped;
    struct mpivf_stamp stamp;
};

/* What rank 0 finds out. */
struct survey {
    struct mpivf_row_set covered; /* all inputs' ranges */
    uint64_t source_rows, bytes;
    uint64_t rows;        /* of all inputs, that are good */
    uint64_t model;       /* number of the input whose centroids are taken; UINT64_MAX = none */
    uint64_t fingerprint; /* of the first input's model */
    uint64_t chosen;
    uint64_t mark; /* of what is merged */
};

static int
by_first(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Models and shards alike have to be of one model; `told` is the path of the first input. */
static mpivf_status
check_model(struct mpivf_context *ctx, struct survey *survey, const struct mpivf_index *index,
            const char *told, uint64_t number)
{
    if (number == 0)
        survey->fingerprint = index->meta.model_fingerprint;
    if (index->meta.model_fingerprint != survey->fingerprint)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was made with another model than '%s'",
                          index->path, told);
    if (index->meta.centroids > 0 && survey->model == UINT64_MAX)
        survey->model = number;
    return MPIVF_OK;
}

/* Take in one input; `first` is the first one that has rows, for comparison. */
static mpivf_status
survey_input(struct mpivf_context *ctx, struct survey *survey, struct mpivf_index *first,
             const char *const *input, uint64_t number, struct chosen *chosen)
{
    struct mpivf_index index;
    mpivf_status status = mpivf_index_open(ctx, input[number], &index);
    THEN(status, check_model(ctx, survey, &index, input[0], number));
    bool model_only = status == MPIVF_OK && index.meta.source_rows == 0;
    if (status == MPIVF_OK && first->ctx != NULL && !model_only)
        status = mpivf_index_match(ctx, first, &index);
    if (status == MPIVF_OK && !model_only) {
        survey->source_rows = index.meta.source_rows;
        status = mpivf_row_set_put(ctx, &survey->covered, index.range, index.meta.ranges);
        chosen[survey->chosen++] = (struct chosen){number,
                                                   index.meta.ranges ? index.range[0].row : 0,
                                                   index.meta.rows,
                                                   index.meta.rejected,
                                                   index.meta.stamped,
                                                   index.meta.stamp};
        survey->rows += index.meta.rows;
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
    mpivf_row_set_order(&survey->covered, &overlap);
    uint64_t rows = mpivf_range_rows(survey->covered.range, survey->covered.ranges);
    if (overlap != UINT64_MAX)
        return mpivf_fail(ctx, MPIVF_INPUT, "row %llu is in more than one shard",
                          (unsigned long long)overlap);
    if (rows == survey->source_rows || partial)
        return MPIVF_OK;
    const struct mpivf_range *first = survey->covered.ranges ? survey->covered.range : NULL;
    uint64_t missing = first == NULL || first->row > 0 ? 0 : first->rows;
    return mpivf_fail(ctx, MPIVF_INPUT,
                      "%llu of %llu rows are in no shard, the first is row %llu; a "
                      "shard is missing (--partial merges without it)",
                      (unsigned long long)(survey->source_rows - rows),
                      (unsigned long long)survey->source_rows, (unsigned long long)missing);
}

/*
 * How many versions of the source there are among the shards that tell theirs; *other is the first
 * shard of another than the first. A merge of several versions counts as one more.
 */
static uint64_t
count_versions(const struct chosen *chosen, uint64_t shards, uint64_t *first, uint64_t *other)
{
    uint64_t versions = 0;
    for (uint64_t i = 0; i < shards; i++) {
        bool known = !chosen[i].stamped;
        for (uint64_t j = 0; j < i && !known; j++)
            known = chosen[j].stamped && chosen[j].stamp.version == chosen[i].stamp.version;
        versions += !known;
        if (!known && versions == 1)
            *first = i;
        if (!known && versions == 2)
            *other = i;
    }
    return versions;
}

/* The same for all ranks; rank 0 notes it when there are several. */
static uint64_t
tell_versions(const struct mpivf_par *par, const char *const *ordered, const struct chosen *chosen,
              uint64_t shards)
{
    char one[MPIVF_STAMP_TEXT], two[MPIVF_STAMP_TEXT];
    uint64_t first = 0, other = 0, versions = count_versions(chosen, shards, &first, &other);
    if (par->rank != 0 || versions < 2)
        return versions;
    mpivf_stamp_text(&chosen[first].stamp, one);
    mpivf_stamp_text(&chosen[other].stamp, two);
    mpivf_note(par->ctx,
               "the source was not the same for all shards: '%s' was made of %s, '%s' of "
               "%s; unless these are copies, rows that were corrected in between are in some "
               "shards only",
               ordered[first], one, ordered[other], two);
    return versions;
}

/* On rank 0: look at all inputs and put them in order. */
static mpivf_status
survey_inputs(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
              const struct mpivf_merge_options *options, struct survey *survey,
              struct chosen *chosen)
{
    struct mpivf_index first = {.ctx = NULL};
    mpivf_status status = MPIVF_OK;
    for (uint64_t i = 0; i < inputs && status == MPIVF_OK; i++)
        status = survey_input(ctx, survey, &first, input, i, chosen);
    if (status == MPIVF_OK && survey->chosen == 0)
        status = mpivf_fail(ctx, MPIVF_INPUT, "there is no shard among the inputs, only models");
    THEN(status, check_cover(ctx, survey, options->partial));
    if (status == MPIVF_OK && survey->rows == 0 && !options->partial)
        status = mpivf_fail(ctx, MPIVF_INPUT,
                            "the shards have no rows, all %llu were rejected: there is nothing "
                            "to index",
                            (unsigned long long)survey->source_rows);
    if (status == MPIVF_OK && survey->model == UINT64_MAX)
        status = mpivf_fail(ctx, MPIVF_INPUT, "no input has centroids; add the model file");
    uint64_t at_once = survey->chosen < options->fan_in ? survey->chosen : options->fan_in;
    THEN(status, mpivf_memory_plan(ctx, "merging shards",
                                   mpivf_join_bytes(&first.meta, at_once, ctx->threads), 0,
                                   at_once > 2 ? "ask for a smaller --fan-in" : NULL, NULL));
    qsort(chosen, survey->chosen, sizeof *chosen, by_first);
    uint64_t sums[] = {first.meta.model_fingerprint, first.meta.source_fingerprint,
                       mpivf_checksum_of(chosen, survey->chosen * sizeof *chosen)};
    survey->mark = mpivf_checksum_of(sums, sizeof sums);
    mpivf_index_close(&first);
    return status;
}

/* All inputs as they are before they are read. */
static mpivf_status
look_at(struct mpivf_context *ctx, const char *const *input, uint64_t inputs,
        struct mpivf_inputs *seen)
{
    mpivf_status status = MPIVF_OK;
    for (uint64_t i = 0; i < inputs && status == MPIVF_OK; i++) {
        status = mpivf_file_expect(ctx, input[i]);
        THEN(status, mpivf_inputs_add(ctx, seen, input[i]));
    }
    return status;
}

static mpivf_status
check_space(struct mpivf_context *ctx, const struct mpivf_build_files *files,
            const struct survey *survey, bool rounds)
{
    char scratch[MPIVF_PATH];
    mpivf_path_folder(files->work->path, scratch);
    mpivf_status status = MPIVF_OK;
    if (rounds) /* a round beside the one before */
        status = mpivf_folder_space(ctx, scratch, 2 * survey->bytes, "the merge");
    THEN(status, mpivf_output_space(ctx, files->index, survey->bytes, "the index"));
    return status;
}

/* With several rounds, claim the folder they work in: a merge begins anew. */
static mpivf_status
claim_all(const struct mpivf_par *par, const struct mpivf_build_files *files, uint64_t mark,
          struct mpivf_claim *claim)
{
    char identity[64];
    snprintf(identity, sizeof identity, "{\"merge\": \"%016" PRIx64 "\"}", mark);
    struct mpivf_claim_rules rules = {.identity = identity,
                                      .ours = mpivf_work_owns,
                                      .over = true,
                                      .no_work = true,
                                      .outputs = files->outputs};
    mpivf_status status = mpivf_claim_open_all(claim, par, files->work->path, &rules);
    THEN(status, mpivf_claim_seen_all(claim));
    return status;
}

/* The same facts on every rank. */
static mpivf_status
survey_all(const struct mpivf_par *par, const char *const *input, uint64_t inputs,
           const struct mpivf_build_files *files, const struct mpivf_merge_options *options,
           struct mpivf_inputs *seen, struct survey *survey, struct chosen *chosen)
{
    mpivf_status status = MPIVF_OK;
    if (par->rank == 0) {
        status = mpivf_output_check(par->ctx, files->index); /* a merge has nothing to go on with */
        THEN(status, look_at(par->ctx, input, inputs, seen));
    }
    status = mpivf_agree_all(par, status);
    THEN(status, mpivf_inputs_share_all(par, seen));
    if (status == MPIVF_OK && par->rank == 0) {
        status = survey_inputs(par->ctx, input, inputs, options, survey, chosen);
        THEN(status, check_space(par->ctx, files, survey, survey->chosen > options->fan_in));
    }
    mpivf_row_set_clear(par->ctx, &survey->covered);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK) {
        mpivf_bcast_all(par, survey, sizeof *survey);
        mpivf_bcast_all(par, chosen, inputs * sizeof *chosen);
    }
    return status;
}

static mpivf_status
merge_all(const struct mpivf_par *par, struct mpivf_merge *merge,
          const struct mpivf_build_files *files, uint64_t mark, struct mpivf_report *report)
{
    struct mpivf_claim claim = {.par = NULL};
    mpivf_status status = MPIVF_OK;
    if (merge->inputs > merge->fan_in)
        status = claim_all(par, files, mark, &claim);
    THEN(status, mpivf_merge_all(merge, report));
    mpivf_claim_clear(&claim);
    mpivf_status removed = MPIVF_OK;
    if (par->rank == 0) /* also what a killed merge left */
        removed = mpivf_claim_remove(par->ctx, files->work->path, mpivf_work_owns);
    return mpivf_agree_all(par, status ? status : removed);
}

mpivf_status
mpivf_merge_files_all(const struct mpivf_par *par, const char *const *input, uint64_t inputs,
                      const struct mpivf_build_files *files,
                      const struct mpivf_merge_options *options, struct mpivf_report *report,
                      struct mpivf_build_summary *summary)
{
    struct mpivf_context *ctx = par->ctx;
    struct survey survey = {.model = UINT64_MAX};
    struct mpivf_inputs seen = {.file = NULL};
    memset(summary, 0, sizeof *summary);
    struct chosen *chosen = mpivf_alloc_zero(ctx, "the inputs", inputs, sizeof *chosen);
    const char **ordered = mpivf_alloc(ctx, "the inputs", inputs, sizeof *ordered);
    mpivf_status status = mpivf_agree_all(par, chosen && ordered ? MPIVF_OK : MPIVF_MEMORY);
    THEN(status, survey_all(par, input, inputs, files, options, &seen, &survey, chosen));
    if (status == MPIVF_OK) {
        for (uint64_t i = 0; i < survey.chosen; i++) {
            ordered[i] = input[chosen[i].number];
            summary->rows += chosen[i].rows;
            summary->rejected += chosen[i].rejected;
        }
        struct mpivf_merge merge = {.par = par,
                                    .input = ordered,
                                    .inputs = survey.chosen,
                                    .fan_in = options->fan_in,
                                    .model = input[survey.model],
                                    .folder = files->work->path,
                                    .output = files->index,
                                    .seen = &seen};
        status = merge_all(par, &merge, files, survey.mark, report);
        summary->shards = survey.chosen;
        summary->rounds = merge.rounds;
        summary->bytes_written = merge.bytes_written;
        summary->index_bytes = merge.index_bytes;
        if (status == MPIVF_OK)
            summary->versions = tell_versions(par, ordered, chosen, survey.chosen);
    }
    mpivf_inputs_clear(ctx, &seen);
    mpivf_free(ctx, chosen);
    mpivf_free(ctx, ordered);
    return status;
}
