/* The collective side of format.c: one rank reads, all know. */
#include "index/format.h"

#include <string.h>

mpivf_status
mpivf_index_open_all(const struct mpivf_par *par, const char *path, struct mpivf_index *index)
{
    struct mpivf_context *ctx = par->ctx;
    *index = (struct mpivf_index){.ctx = ctx, .fd = -1};
    mpivf_status status = par->rank == 0 ? mpivf_index_open(ctx, path, index) : MPIVF_OK;
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    struct mpivf_index_meta meta = index->meta;
    mpivf_bcast_all(par, &meta, sizeof meta);
    mpivf_bcast_all(par, &index->layout, sizeof index->layout);
    int codec = 0; /* a pointer means nothing elsewhere: send its position */
    while (par->rank == 0 && mpivf_codec((enum mpivf_codec_kind)codec) != meta.codec)
        codec++;
    mpivf_bcast_all(par, &codec, sizeof codec);
    if (par->rank != 0) {
        meta.codec = mpivf_codec((enum mpivf_codec_kind)codec);
        index->meta = meta;
        index->path = mpivf_alloc(ctx, "a path", strlen(path) + 1, 1);
        index->list_offset = mpivf_alloc(ctx, "list offsets", meta.lists + 1, sizeof(uint64_t));
        index->rejected = mpivf_alloc(ctx, "rejected rows", meta.rejected, sizeof(int64_t));
        index->range = mpivf_alloc(ctx, "row ranges", meta.ranges, sizeof(struct mpivf_range));
        if (!index->path || !index->list_offset || !index->rejected || !index->range)
            status = MPIVF_MEMORY;
        struct mpivf_file file = {.fd = -1};
        if (status == MPIVF_OK) {
            strcpy(index->path, path);
            status = mpivf_file_open(ctx, index->path, &file);
        }
        index->fd = file.fd;
    }
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_bcast_all(par, index->list_offset, (meta.lists + 1) * sizeof(uint64_t));
    mpivf_bcast_all(par, index->rejected, meta.rejected * sizeof(int64_t));
    mpivf_bcast_all(par, index->range, meta.ranges * sizeof(struct mpivf_range));
    return MPIVF_OK;
}

mpivf_status
mpivf_index_coarse_all(const struct mpivf_par *par, struct mpivf_index *index,
                       struct mpivf_coarse *coarse)
{
    const struct mpivf_index_meta *meta = &index->meta;
    mpivf_status status = par->rank == 0 ? mpivf_index_coarse(index, coarse)
                                         : mpivf_coarse_init(par->ctx, coarse, meta->metric,
                                                             meta->lists, meta->dim);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_bcast_all(par, coarse->centroid, meta->lists * meta->dim * sizeof(float));
    if (par->rank != 0)
        mpivf_coarse_ready(coarse);
    return MPIVF_OK;
}
