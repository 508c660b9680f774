/* The collective side of format.c: one rank reads, all know. */
#include "base/then.h"
#include "index/format.h"
#include "io/inputs.h"

#include <string.h>

/* The size and time of the file, before anything is read; the same for all ranks. */
static mpivf_status
look_all(const struct mpivf_par *par, const char *path, struct mpivf_inputs **inputs)
{
    struct mpivf_context *ctx = par->ctx;
    *inputs = mpivf_alloc_zero(ctx, "an index", 1, sizeof **inputs);
    mpivf_status status = *inputs ? MPIVF_OK : MPIVF_MEMORY;
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_file_expect(ctx, path);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_inputs_add(ctx, *inputs, path);
    status = mpivf_agree_all(par, status);
    THEN(status, mpivf_inputs_share_all(par, *inputs));
    return status;
}

/* A mark of all rows: the checksums of the lists, which are read piece by piece. */
static mpivf_status
mark_content(const struct mpivf_index *index, uint64_t *mark)
{
    enum { PIECE = 8192 };
    struct mpivf_context *ctx = index->ctx;
    struct mpivf_file file = mpivf_index_file(index);
    uint64_t lists = index->meta.lists;
    uint64_t *piece = mpivf_alloc(ctx, "checksums", PIECE, sizeof *piece);
    mpivf_status status = piece ? MPIVF_OK : MPIVF_MEMORY;
    *mark = 0;
    for (uint64_t l = 0; l < lists && status == MPIVF_OK; l += PIECE) {
        uint64_t n = lists - l < PIECE ? lists - l : PIECE;
        status = mpivf_file_read(ctx, &file, piece, n * sizeof *piece,
                                 index->layout.list_checksum + l * sizeof *piece);
        uint64_t link[2] = {*mark, mpivf_checksum_of(piece, status ? 0 : n * sizeof *piece)};
        *mark = mpivf_checksum_of(link, sizeof link);
    }
    mpivf_free(ctx, piece);
    return status;
}

/* Does every rank see this content? */
static mpivf_status
check_content_all(const struct mpivf_par *par, const struct mpivf_index *index)
{
    uint64_t mark;
    mpivf_status status = mpivf_agree_all(par, mark_content(index, &mark));
    THEN(status, mpivf_inputs_content_all(par, index->path, mark));
    return status;
}

mpivf_status
mpivf_index_unchanged_all(const struct mpivf_par *par, const struct mpivf_index *index)
{
    return mpivf_inputs_unchanged_all(par, index->inputs);
}

mpivf_status
mpivf_index_open_all(const struct mpivf_par *par, const char *path, struct mpivf_index *index)
{
    struct mpivf_context *ctx = par->ctx;
    struct mpivf_inputs *inputs;
    *index = (struct mpivf_index){.ctx = ctx, .fd = -1};
    /* rank 0 reads the header, the others get it */
    mpivf_status status = look_all(par, path, &inputs);
    if (status == MPIVF_OK && par->rank == 0)
        status = mpivf_index_open(ctx, path, index);
    status = mpivf_agree_all(par, status);
    index->inputs = inputs;
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
    /* do all ranks see the same file under that path? */
    return check_content_all(par, index);
}

mpivf_status
mpivf_index_coarse_all(const struct mpivf_par *par, struct mpivf_index *index,
                       struct mpivf_coarse *coarse)
{
    const struct mpivf_index_meta *meta = &index->meta;
    mpivf_status status =
        par->rank == 0 ? mpivf_index_coarse(index, coarse)
                       : mpivf_coarse_init(par->ctx, coarse, meta->metric, meta->lists, meta->dim);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    mpivf_bcast_all(par, coarse->centroid, meta->lists * meta->dim * sizeof(float));
    if (par->rank != 0)
        mpivf_coarse_ready(coarse);
    return MPIVF_OK;
}
