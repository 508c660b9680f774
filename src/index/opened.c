/*
 * What is asked of an open index: its file and centroids, where to cut it, whether it fits another.
 */
#include "base/then.h"
#include "index/format.h"
#include "io/inputs.h"

uint64_t
mpivf_index_cut(const struct mpivf_index *index, uint64_t part, uint64_t parts)
{
    uint64_t lists = index->meta.lists, low = 0, high = lists;
    /* rows plus lists are shared out, so that empty lists are spread too */
    uint64_t goal = (uint64_t)((__uint128_t)(index->meta.rows + lists) * part / parts);
    if (part == parts)
        return lists;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (index->list_offset[middle] + middle < goal)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mpivf_file
mpivf_index_file(const struct mpivf_index *index)
{
    return (struct mpivf_file){.fd = index->fd, .path = index->path};
}

void
mpivf_index_close(struct mpivf_index *index)
{
    struct mpivf_context *ctx = index->ctx;
    if (ctx == NULL)
        return;
    struct mpivf_file file = mpivf_index_file(index);
    mpivf_file_drop(&file);
    mpivf_free(ctx, index->path);
    mpivf_free(ctx, index->list_offset);
    mpivf_free(ctx, index->rejected);
    mpivf_free(ctx, index->range);
    if (index->inputs)
        mpivf_inputs_clear(ctx, index->inputs);
    mpivf_free(ctx, index->inputs);
    *index = (struct mpivf_index){.fd = -1};
}

bool
mpivf_index_complete(const struct mpivf_index *index)
{
    return index->meta.source_rows > 0 && index->meta.ranges == 1 && index->range[0].row == 0 &&
           index->range[0].rows == index->meta.source_rows;
}

mpivf_status
mpivf_index_coarse(struct mpivf_index *index, struct mpivf_coarse *coarse)
{
    struct mpivf_context *ctx = index->ctx;
    const struct mpivf_index_meta *meta = &index->meta;
    struct mpivf_file file = mpivf_index_file(index);
    *coarse = (struct mpivf_coarse){.ctx = NULL};
    if (meta->centroids == 0)
        return mpivf_fail(ctx, MPIVF_INPUT, "'%s' is a shard without centroids", index->path);
    mpivf_status status = mpivf_coarse_init(ctx, coarse, meta->metric, meta->lists, meta->dim);
    THEN(status, mpivf_file_read(ctx, &file, coarse->centroid,
                                 meta->lists * meta->dim * sizeof(float), index->layout.centroid));
    if (status)
        return status;
    if (mpivf_coarse_fingerprint(coarse) != meta->model_fingerprint)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "the centroids of '%s' are damaged", index->path);
    mpivf_coarse_ready(coarse);
    return MPIVF_OK;
}

mpivf_status
mpivf_index_match(struct mpivf_context *ctx, const struct mpivf_index *a,
                  const struct mpivf_index *b)
{
    const struct mpivf_index_meta *x = &a->meta, *y = &b->meta;
    const char *what = x->model_fingerprint != y->model_fingerprint || x->metric != y->metric ||
                               x->lists != y->lists || x->dim != y->dim
                           ? "another model"
                       : x->codec != y->codec || x->store != y->store ? "another codec or store"
                       : x->source_fingerprint != y->source_fingerprint ||
                               x->source_rows != y->source_rows || x->ids != y->ids
                           ? "another source"
                           : NULL;
    char here[MPIVF_STAMP_TEXT], there[MPIVF_STAMP_TEXT];
    if (what == NULL)
        return MPIVF_OK;
    if (!x->stamped || !y->stamped || x->stamp.version == y->stamp.version)
        return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was made with %s than '%s'", b->path, what,
                          a->path);
    mpivf_stamp_text(&x->stamp, here);
    mpivf_stamp_text(&y->stamp, there);
    return mpivf_fail(ctx, MPIVF_MISMATCH, "'%s' was made with %s than '%s' (of %s, that of %s)",
                      b->path, what, a->path, there, here);
}
