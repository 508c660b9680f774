#include "base/then.h"
#include "build/add.h"
#include "build/building.h"
#include "build/join.h"
#include "io/folder.h"
#include "source/stamp.h"

#include <stdio.h>
#include <string.h>

void
mpivf_build_identity(const struct mpivf_building *b, char *text, size_t size)
{
    const struct mpivf_build_options *o = b->options;
    char model[256], source[MPIVF_CLAIM_SOURCE], ids[MPIVF_CLAIM_SOURCE] = "null";
    mpivf_source_claim(&b->source, source);
    if (o->ids)
        mpivf_source_claim(&b->ids, ids);
    if (o->model)
        snprintf(model, sizeof model, "\"model\": \"%016llx\"",
                 (unsigned long long)b->model.meta.model_fingerprint);
    else
        snprintf(model, sizeof model,
                 "\"lists\": %llu, \"sample\": %llu, \"iterations\": %llu, \"tolerance\": %.17g, "
                 "\"max_list\": %llu, \"metric\": \"%s\"",
                 (unsigned long long)o->train.lists, (unsigned long long)o->train.sample,
                 (unsigned long long)o->train.iterations, o->train.tolerance,
                 (unsigned long long)o->train.max_list, mpivf_metric_name(o->train.metric));
    snprintf(text, size,
             "{\"source\": %s, \"ids\": %s, \"rows\": %llu, \"dim\": %llu, \"seed\": %lld, "
             "\"codec\": \"%s\", \"store\": %s, \"part\": \"%lld/%lld\", %s}",
             source, ids, (unsigned long long)b->source.rows, (unsigned long long)b->source.dim,
             (long long)o->train.seed, mpivf_codec(o->codec)->name, o->store ? "true" : "false",
             (long long)o->part, (long long)o->parts, model);
}

bool
mpivf_build_covers(const struct mpivf_range *set, uint64_t ranges, struct mpivf_range want)
{
    return want.rows == 0 ? ranges == 0
                          : ranges == 1 && set[0].row == want.row && set[0].rows == want.rows;
}

mpivf_status
mpivf_build_check_output(const struct mpivf_building *b, const char *identity, bool *finished)
{
    struct mpivf_context *ctx = b->par->ctx;
    const struct mpivf_output *output = b->files->index;
    *finished = false;
    if (!output->place.there || output->replace)
        return MPIVF_OK;
    struct mpivf_index index;
    if (mpivf_claim_untouched(b->files->work->path, identity)) {
        *finished = mpivf_index_open(ctx, output->path, &index) == MPIVF_OK &&
                    index.meta.source_fingerprint == b->source_fingerprint &&
                    mpivf_build_covers(index.range, index.meta.ranges, b->want);
        mpivf_index_close(&index);
    }
    mpivf_clear_error(ctx);
    return *finished ? MPIVF_OK : mpivf_output_check(ctx, output);
}

/* The shards to come, as far as that is known before anything is trained. */
static struct mpivf_index_meta
meta_ahead(const struct mpivf_building *b)
{
    const struct mpivf_build_options *o = b->options;
    struct mpivf_index_meta meta = {.dim = b->source.dim,
                                    .metric = o->train.metric,
                                    .lists = mpivf_train_lists(&o->train, b->source.rows)};
    if (o->model)
        meta = b->model.meta;
    meta.codec = mpivf_codec(o->codec);
    meta.store = o->store;
    return meta;
}

mpivf_status
mpivf_build_check_memory(const struct mpivf_building *b)
{
    const struct mpivf_build_options *o = b->options;
    struct mpivf_context *ctx = b->par->ctx;
    struct mpivf_index_meta meta = meta_ahead(b);
    const struct mpivf_source *ids = o->ids ? &b->ids : NULL;
    bool trained = o->model || mpivf_work_has_model(mpivf_output_path(b->files->work));
    const struct {
        const char *what, *other;
        size_t bytes;
    } phase[] = {
        {"training", "ask for fewer --lists",
         trained ? 0 : mpivf_train_bytes(b->par, &b->source, &o->train)},
        {"adding rows", NULL,
         mpivf_add_bytes(&b->source, ids, o->observer && o->observer->f64, &meta, ctx->threads)},
        {"merging shards", "ask for a smaller --fan-in",
         mpivf_join_bytes(&meta, o->fan_in, ctx->threads)},
    };
    size_t max = 0;
    for (size_t i = 1; i < sizeof phase / sizeof phase[0]; i++)
        max = phase[i].bytes > phase[max].bytes ? i : max;
    return mpivf_memory_plan(ctx, phase[max].what, phase[max].bytes, 0, phase[max].other, NULL);
}

mpivf_status
mpivf_build_check_space(const struct mpivf_building *b)
{
    struct mpivf_context *ctx = b->par->ctx;
    struct mpivf_index_meta meta = meta_ahead(b);
    char folder[MPIVF_PATH], scratch[MPIVF_PATH];
    mpivf_path_folder(b->files->index->path, folder);
    mpivf_path_folder(b->files->work->path, scratch);
    meta.rows = b->want.rows - mpivf_range_rows(b->work.covered.range, b->work.covered.ranges);
    meta.centroids = 0;
    uint64_t shards = mpivf_index_bytes(&meta);
    if (b->options->model == NULL && !b->work.has_model)
        shards += meta.lists * meta.dim * sizeof(float);
    meta.rows = b->want.rows;
    meta.centroids = meta.lists;
    uint64_t index = mpivf_index_bytes(&meta);
    if (strcmp(scratch, folder) == 0)
        return mpivf_folder_space(ctx, folder, shards + index, "the build");
    mpivf_status status = mpivf_folder_space(ctx, scratch, 2 * shards, "the merging of shards");
    THEN(status, mpivf_folder_space(ctx, folder, index, "the index"));
    return status;
}
