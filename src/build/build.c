#include <mpivf/build.h>

#include "base/then.h"
#include "build/add.h"
#include "build/building.h"
#include "build/merge.h"
#include "build/model.h"
#include "build/recheck.h"
#include "build/work.h"
#include "io/checksum.h"
#include "io/inputs.h"
#include "par/root.h"
#include "source/ids_check.h"

#include <stdio.h>
#include <string.h>

void
mpivf_build_options_init(struct mpivf_build_options *options)
{
    *options = (struct mpivf_build_options){.codec = MPIVF_CODEC_F32, .fan_in = 16};
    mpivf_train_options_init(&options->train);
}

enum { MANY_EMPTY = 20 }; /* more than one in so many is worth a note */

static mpivf_status
open_ids_all(struct mpivf_building *b)
{
    const struct mpivf_par *par = b->par;
    if (b->options->ids == NULL)
        return MPIVF_OK;
    mpivf_status status = mpivf_source_open_ids_all(&b->ids, par, b->options->ids, "id",
                                                    b->options->reading, b->source.rows);
    if (status == MPIVF_OK) {
        uint64_t both[2] = {b->source_fingerprint, b->ids.fingerprint};
        b->source_fingerprint = mpivf_checksum_of(both, sizeof both);
    }
    return status;
}

static mpivf_status
open_model_all(struct mpivf_building *b)
{
    struct mpivf_context *ctx = b->par->ctx;
    if (b->options->model == NULL)
        return mpivf_train_check(ctx, &b->options->train, b->source.rows);
    mpivf_status status = mpivf_index_open_all(b->par, b->options->model, &b->model);
    if (status == MPIVF_OK && b->model.meta.centroids == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' has no centroids", b->options->model);
    if (status == MPIVF_OK && b->model.meta.dim != b->source.dim)
        return mpivf_fail(ctx, MPIVF_MISMATCH,
                          "the rows have %llu columns, the model '%s' has %llu",
                          (unsigned long long)b->source.dim, b->options->model,
                          (unsigned long long)b->model.meta.dim);
    return status;
}

static void
choose_rows(struct mpivf_building *b)
{
    const struct mpivf_source *source = &b->source;
    b->want = (struct mpivf_range){0, source->rows};
    if (b->options->parts == 0)
        return;
    b->want = mpivf_source_share(source, (int)b->options->part - 1, (int)b->options->parts);
}

/* What an earlier run left has to be of the rows as they are now, or goes with --force. */
static mpivf_status
recheck_all(struct mpivf_building *b, struct mpivf_report *report)
{
    struct mpivf_recheck recheck = {.source = &b->source,
                                    .ids = b->options->ids ? &b->ids : NULL,
                                    .work = &b->work,
                                    .train = &b->options->train};
    mpivf_status status = mpivf_recheck_all(&recheck, report);
    b->damaged = recheck.damaged;
    return status == MPIVF_MISMATCH && b->options->force ? mpivf_work_restart_all(&b->work)
                                                         : status;
}

/* The status of what reads files of the work folder alone. */
static mpivf_status
from_work(struct mpivf_building *b, mpivf_status status)
{
    b->damaged = mpivf_work_is_damage(status);
    return status;
}

/* Train into the work folder unless that was done or a model was given; load the centroids. */
static mpivf_status
have_model_all(struct mpivf_building *b, struct mpivf_report *report,
               struct mpivf_build_summary *summary)
{
    const struct mpivf_par *par = b->par;
    struct mpivf_train_options train = b->options->train;
    train.stamp = true; /* another run may go on with it */
    mpivf_status status = MPIVF_OK;
    if (b->options->model == NULL) {
        if (!b->work.has_model)
            status = mpivf_train_path_all(par, &b->source, b->work.model, &train, report,
                                          &summary->trained);
        THEN(status, from_work(b, mpivf_index_open_all(par, b->work.model, &b->model)));
    }
    if (status)
        return status;
    status = mpivf_index_coarse_all(par, &b->model, &b->coarse);
    return b->options->model ? status : from_work(b, status);
}

static struct mpivf_index_meta
shard_meta(const struct mpivf_building *b)
{
    struct mpivf_index_meta meta = b->model.meta;
    meta.codec = mpivf_codec(b->options->codec);
    meta.source_rows = b->source.rows;
    meta.store = b->options->store;
    meta.ids = b->options->ids != NULL;
    meta.source_fingerprint = b->source_fingerprint;
    meta.rows = meta.rejected = meta.ranges = meta.centroids = 0;
    meta.stamped = true;
    meta.stamp = mpivf_source_stamp(&b->source, b->options->ids ? &b->ids : NULL);
    return meta;
}

/* What was lost, and a warning when that will be felt. */
static void
tell_loss(const struct mpivf_building *b, const struct mpivf_loss *loss,
          struct mpivf_build_summary *summary)
{
    struct mpivf_context *ctx = b->par->ctx;
    const struct mpivf_codec *codec = mpivf_codec(b->options->codec);
    summary->decoded = b->source.type == MPIVF_F64;
    summary->coded = !codec->exact;
    summary->decode_error = mpivf_loss_share(loss->decoded, loss->distance);
    summary->code_error = mpivf_loss_share(loss->coded, loss->distance);
    summary->vanished = loss->vanished;
    summary->too_large = loss->too_large;
    if (b->par->rank == 0 && !mpivf_loss_matters(summary->trained.decode_error)) /* told already */
        mpivf_loss_warn_decoded(ctx, summary->decode_error);
    char zeros[64] = "";
    if (summary->vanished > 0)
        snprintf(zeros, sizeof zeros, ", and makes 0 of %llu values that are not",
                 (unsigned long long)summary->vanished);
    if (b->par->rank == 0 && mpivf_loss_matters(summary->code_error))
        mpivf_warn(ctx,
                   "codec %s loses %.1f %% of what tells neighbours apart%s; use --codec f32, "
                   "or subtract the mean of the columns and scale the data first",
                   codec->name, 100 * summary->code_error, zeros);
}

static mpivf_status
add_rows_all(struct mpivf_building *b, struct mpivf_report *report,
             struct mpivf_build_summary *summary)
{
    const struct mpivf_par *par = b->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_add add = {.par = par,
                            .source = &b->source,
                            .ids = b->options->ids ? &b->ids : NULL,
                            .coarse = &b->coarse,
                            .meta = shard_meta(b),
                            .bad_rows = b->options->train.bad_rows,
                            .folder = b->work.claim.folder,
                            .observer = b->options->observer};
    size_t max = b->work.covered.ranges + 1;
    struct mpivf_range *gap = mpivf_alloc(ctx, "row ranges", max, sizeof *gap);
    struct mpivf_range *set = mpivf_alloc(ctx, "row ranges", max, sizeof *set);
    mpivf_status status = mpivf_agree_all(par, gap && set ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        /* only what no shard has yet, of the part that is wanted */
        size_t gaps =
            mpivf_range_gaps(b->work.covered.range, b->work.covered.ranges, b->source.rows, gap);
        add.set = set;
        add.ranges = mpivf_range_cut(gap, gaps, b->want, set, max);
        uint64_t rows = mpivf_range_rows(set, add.ranges);
        summary->reused_rows = b->want.rows - rows;
        if (rows > 0 || b->work.shards == 0) {
            struct mpivf_added added = {.loss.rows = 0};
            status = mpivf_add_all(&add, report, &added);
            summary->slab_difference = added.difference.found;
            summary->slab_difference_expected = added.difference.expected;
            if (status == MPIVF_OK)
                tell_loss(b, &added.loss, summary);
            summary->bytes_written =
                mpivf_sum_u64_all(par, report->phase[report->phases - 1].bytes_written);
        }
    }
    mpivf_free(ctx, gap);
    mpivf_free(ctx, set);
    /* all ranks see what there is now */
    THEN(status, mpivf_work_scan_all(&b->work));
    return status;
}

/* No row was good. A shard of a job array may be so: others may have rows. */
static mpivf_status
refuse_empty(struct mpivf_building *b, const struct mpivf_build_summary *summary)
{
    const struct mpivf_codec *codec = mpivf_codec(b->options->codec);
    b->in_vain = true;
    if (codec->exact)
        return mpivf_fail(b->par->ctx, MPIVF_INPUT,
                          "each of the %llu rows has a value that is not "
                          "finite as float32: there is nothing to index",
                          (unsigned long long)summary->rejected);
    return mpivf_fail(b->par->ctx, MPIVF_INPUT,
                      "each of the %llu rows has a value that is not "
                      "finite or is too large for codec %s: there is nothing to index; use --codec "
                      "f32, or scale the data",
                      (unsigned long long)summary->rejected, codec->name);
}

static mpivf_status
merge_work_all(struct mpivf_building *b, struct mpivf_report *report,
               struct mpivf_build_summary *summary)
{
    const struct mpivf_par *par = b->par;
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_work *work = &b->work;
    /* first: is every row in a shard, or rejected where that is allowed? */
    if (!mpivf_build_covers(work->covered.range, work->covered.ranges, b->want))
        return from_work(b,
                         mpivf_fail(ctx, MPIVF_CORRUPT, "the shards in '%s' do not cover the rows",
                                    work->claim.folder));
    for (uint64_t i = 0; i < work->shards; i++) {
        summary->rows += work->shard[i].rows;
        summary->rejected += work->shard[i].rejected;
    }
    if (summary->rejected > 0 && b->options->train.bad_rows == MPIVF_BAD_ROWS_FAIL)
        return mpivf_fail(ctx, MPIVF_INPUT,
                          "an earlier run with --bad-rows skip left %llu rows out; "
                          "go on with skip, or remove the folder '%s'",
                          (unsigned long long)summary->rejected, work->claim.folder);
    if (summary->rows == 0 && b->options->parts == 0)
        return refuse_empty(b, summary);
    if (summary->rows == 0 && par->rank == 0)
        mpivf_warn(ctx, "each of the %llu rows of this part was rejected: its shard has none",
                   (unsigned long long)summary->rejected);
    /* shards are removed as they are merged: a killed merge goes on with what is there */
    summary->shards = work->shards;
    const char **input = mpivf_alloc(ctx, "names of shards", work->shards, sizeof *input);
    mpivf_status status = mpivf_agree_all(par, input ? MPIVF_OK : MPIVF_MEMORY);
    if (status)
        return status;
    for (uint64_t i = 0; i < work->shards; i++)
        input[i] = work->shard[i].path;
    struct mpivf_merge merge = {.par = par,
                                .input = input,
                                .inputs = work->shards,
                                .fan_in = b->options->fan_in,
                                .model = b->options->model ? b->options->model : work->model,
                                .folder = work->claim.folder,
                                .output = b->files->index,
                                .consume = true};
    status = from_work(b, mpivf_merge_all(&merge, report));
    summary->rounds = merge.rounds;
    summary->bytes_written += merge.bytes_written;
    summary->index_bytes = merge.index_bytes;
    mpivf_free(ctx, input);
    return status;
}

static mpivf_status
open_inputs_all(struct mpivf_building *b, const char *input)
{
    mpivf_status status =
        mpivf_source_open_all(&b->source, b->par, input, "train", b->options->reading);
    b->source_fingerprint = b->source.fingerprint;
    THEN(status, open_ids_all(b));
    THEN(status, open_model_all(b));
    return status;
}

static mpivf_status
attempt_all(struct mpivf_building *b, struct mpivf_report *report,
            struct mpivf_build_summary *summary)
{
    b->damaged = false;
    mpivf_status status = recheck_all(b, report);
    THEN(status, ROOT_ALL(b->par, mpivf_build_check_space(b)));
    THEN(status, have_model_all(b, report, summary));
    THEN(status, add_rows_all(b, report, summary));
    mpivf_coarse_clear(&b->coarse); /* the merge needs the room */
    THEN(status, merge_work_all(b, report, summary));
    return status;
}

/* Damage in the work folder is not the user's to mend: the work begins anew once, if forced to. */
static mpivf_status
work_all(struct mpivf_building *b, struct mpivf_report *report, struct mpivf_build_summary *summary)
{
    mpivf_status status = attempt_all(b, report, summary);
    if (status == MPIVF_OK || !b->damaged)
        return status;
    if (!b->options->force)
        return mpivf_work_damaged(&b->work);
    if (b->options->model == NULL)
        mpivf_index_close(&b->model);
    status = mpivf_work_restart_all(&b->work);
    memset(summary, 0, sizeof *summary);
    THEN(status, attempt_all(b, report, summary));
    return status;
}

/* What is wrong with the input is found before there is a work folder, as far as it can be. */
static mpivf_status
run_all(struct mpivf_building *b, const char *input, struct mpivf_report *report,
        struct mpivf_build_summary *summary)
{
    const struct mpivf_par *par = b->par;
    char identity[2048];
    bool finished = false;
    /* what all phases need is known before a row is read */
    mpivf_memory_credit(par->ctx);
    mpivf_status status = open_inputs_all(b, input);
    THEN(status, mpivf_agree_all(par, mpivf_build_check_memory(b)));
    mpivf_memory_settle(par->ctx);
    if (status)
        return status;
    /* is there a whole index of the same already, or something else under its name? */
    choose_rows(b);
    mpivf_build_identity(b, identity, sizeof identity);
    if (par->rank == 0)
        status = mpivf_build_check_output(b, identity, &finished);
    status = mpivf_agree_all(par, status);
    if (status == MPIVF_OK && b->want.rows == 0 && par->rank == 0)
        mpivf_note(par->ctx,
                   "part %lld of %lld has no rows: '%s' is cut into %llu blocks; an "
                   "empty shard is written",
                   (long long)b->options->part, (long long)b->options->parts, input,
                   (unsigned long long)b->source.blocks);
    mpivf_bcast_all(par, &finished, sizeof finished);
    if (status == MPIVF_OK && b->options->ids && !finished)
        status = mpivf_ids_check_all(par, &b->ids, report);
    /* the work folder is ours from here on, with what an earlier run left in it */
    struct mpivf_claim_rules rules = {
        .identity = identity, .over = b->options->force, .outputs = b->files->outputs};
    THEN(status, mpivf_work_open_all(&b->work, par, b->files->work->path, &rules));
    if (status == MPIVF_OK && !finished)
        status = work_all(b, report, summary);
    if (status && par->rank == 0)
        mpivf_claim_abandon(&b->work.claim);
    return status;
}

/* What the finished file tells. */
static mpivf_status
describe_all(const struct mpivf_par *par, const char *path, struct mpivf_build_summary *summary)
{
    struct mpivf_index index;
    mpivf_status status = mpivf_index_open_all(par, path, &index);
    if (status == MPIVF_OK) {
        summary->rows = index.meta.rows;
        summary->rejected = index.meta.rejected;
        status =
            mpivf_agree_all(par, mpivf_index_list_sizes(par->ctx, index.list_offset,
                                                        index.meta.lists, &summary->list_sizes));
    }
    mpivf_index_close(&index);
    return status;
}

/* Lists that did not come out as they were asked for. */
static void
note_lists(struct mpivf_context *ctx, const struct mpivf_build_options *options,
           const struct mpivf_list_sizes *list_sizes)
{
    unsigned long long max = options->train.max_list, empty = list_sizes->empty;
    if (max > 0 && list_sizes->largest > max)
        mpivf_note(ctx,
                   "the largest list has %llu rows, more than --max-list %llu: its rows are "
                   "equal, or the sample did not show them all",
                   (unsigned long long)list_sizes->largest, max);
    if (options->model == NULL && empty > list_sizes->lists / MANY_EMPTY)
        mpivf_note(ctx,
                   "%llu of %llu lists are empty, since too few rows differ; --lists %llu "
                   "would do",
                   empty, (unsigned long long)list_sizes->lists,
                   (unsigned long long)(list_sizes->lists - empty));
}

mpivf_status
mpivf_build_all(const struct mpivf_par *par, const char *input,
                const struct mpivf_build_files *files, const struct mpivf_build_options *options,
                struct mpivf_report *report, struct mpivf_build_summary *summary)
{
    struct mpivf_context *ctx = par->ctx;
    memset(summary, 0, sizeof *summary);
    struct mpivf_building *b = mpivf_alloc_zero(ctx, "the build", 1, sizeof *b);
    mpivf_status status = mpivf_agree_all(par, b ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK) {
        b->par = par;
        b->options = options;
        b->files = files;
        status = run_all(b, input, report, summary);
        mpivf_coarse_clear(&b->coarse);
        mpivf_work_clear(&b->work);
        mpivf_index_close(&b->model);
        mpivf_source_close_all(&b->ids);
        mpivf_source_close_all(&b->source);
        if (b->in_vain && par->rank == 0) /* what is wrong was told */
            (void)mpivf_claim_remove(ctx, files->work->path, mpivf_work_owns);
    }
    mpivf_free(ctx, b);
    THEN(status, describe_all(par, mpivf_output_path(files->index), summary));
    if (status == MPIVF_OK && par->rank == 0)
        note_lists(ctx, options, &summary->list_sizes);
    return status;
}

mpivf_status
mpivf_build_clean_all(const struct mpivf_par *par, const struct mpivf_build_files *files)
{
    return ROOT_ALL(par, mpivf_claim_remove(par->ctx, files->work->path, mpivf_work_owns));
}
