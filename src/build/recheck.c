#include "build/recheck.h"

#include "base/then.h"
#include "source/rowsum.h"
#include "source/stamp.h"

#include <stdio.h>

/* Refuse the work: `path` was made of other rows. The same on every rank. */
static mpivf_status
refuse(const struct mpivf_recheck *r, const struct mpivf_stamp *then, const char *path)
{
    char what[MPIVF_PATH + 64];
    snprintf(what, sizeof what, "rows that '%s' was made of", path);
    return mpivf_source_changed(r->source, r->ids, then, what);
}

static mpivf_status
open_all(struct mpivf_recheck *r, const char *path, struct mpivf_index *index)
{
    mpivf_status status = mpivf_index_open_all(r->source->par, path, index);
    r->damaged = mpivf_work_is_damage(status);
    return status;
}

/* Read the rows of a shard again. */
static mpivf_status
check_shard_all(struct mpivf_recheck *r, const char *path, struct mpivf_progress *progress)
{
    struct mpivf_index shard;
    uint64_t rowsum = 0;
    mpivf_status status = open_all(r, path, &shard);
    THEN(status, mpivf_rowsum_again_all(r->source, r->ids, false, shard.range, shard.meta.ranges,
                                        progress, &rowsum));
    if (status == MPIVF_OK && rowsum != shard.meta.stamp.rows)
        status = refuse(r, &shard.meta.stamp, path);
    mpivf_index_close(&shard);
    return status;
}

static mpivf_status
check_shards_all(struct mpivf_recheck *r, uint64_t version, struct mpivf_report *report)
{
    const struct mpivf_work *work = r->work;
    struct mpivf_progress progress;
    uint64_t rows = 0;
    for (uint64_t i = 0; i < work->shards; i++)
        if (work->shard[i].version != version)
            rows += work->shard[i].rows + work->shard[i].rejected;
    if (rows == 0)
        return MPIVF_OK;
    mpivf_phase_begin(&progress, r->source->par, report, "recheck", "rows", rows);
    mpivf_status status = MPIVF_OK;
    for (uint64_t i = 0; i < work->shards && status == MPIVF_OK; i++)
        if (work->shard[i].version != version)
            status = check_shard_all(r, work->shard[i].path, &progress);
    mpivf_phase_end(&progress);
    return status;
}

/* Draw the sample of a model again. */
static mpivf_status
check_model_all(struct mpivf_recheck *r, struct mpivf_report *report)
{
    const struct mpivf_par *par = r->source->par;
    struct mpivf_work *work = r->work;
    struct mpivf_index model;
    struct mpivf_stamp now = mpivf_source_stamp(r->source, NULL);
    uint64_t rowsum = 0;
    mpivf_status status = open_all(r, work->model, &model);
    if (status == MPIVF_OK && model.meta.stamp.version != now.version) {
        status = mpivf_train_rowsum_all(par, r->source, r->train, report, &rowsum);
        bool same = rowsum == model.meta.stamp.rows;
        if (status == MPIVF_OK && !same && work->shards > 0)
            status = refuse(r, &model.meta.stamp, work->model);
        work->has_model = same;
    }
    mpivf_index_close(&model);
    return status;
}

mpivf_status
mpivf_recheck_all(struct mpivf_recheck *recheck, struct mpivf_report *report)
{
    struct mpivf_stamp now = mpivf_source_stamp(recheck->source, recheck->ids);
    mpivf_status status = check_shards_all(recheck, now.version, report);
    if (status == MPIVF_OK && recheck->work->has_model)
        status = check_model_all(recheck, report);
    return status;
}
