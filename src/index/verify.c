#include "index/format.h"

#include <string.h>

enum { PIECE = 1 << 20 };

/* One rank's share of the lists, read list by list. */
struct verify {
    struct mpivf_context *ctx;
    struct mpivf_index *index;
    struct mpivf_planes planes;
    struct mpivf_checksum *sum;
    char *buffer; /* [PIECE] */
    uint64_t damaged, first;
};

/* The checksum of one plane of a list; *ordered turns false when ids do not ascend. */
static mpivf_status
plane_checksum(struct verify *v, int p, uint64_t row, uint64_t rows, uint64_t *value, bool *ordered)
{
    const struct mpivf_plane *plane = &v->planes.plane[p];
    struct mpivf_file file = mpivf_index_file(v->index);
    uint64_t bytes = rows * plane->row_bytes, at = plane->offset + row * plane->row_bytes;
    int64_t last = INT64_MIN;
    mpivf_checksum_start(v->sum);
    while (bytes > 0) {
        size_t n = bytes < PIECE ? bytes : PIECE;
        mpivf_status status = mpivf_file_read(v->ctx, &file, v->buffer, n, at);
        if (status)
            return status;
        mpivf_checksum_add(v->sum, v->buffer, n);
        for (size_t i = 0; p == 0 && i < n; i += sizeof last) {
            int64_t id;
            memcpy(&id, v->buffer + i, sizeof id);
            *ordered = *ordered && id > last;
            last = id;
        }
        bytes -= n;
        at += n;
    }
    *value = mpivf_checksum_value(v->sum);
    return MPIVF_OK;
}

static mpivf_status
verify_list(struct verify *v, uint64_t list)
{
    struct mpivf_index *index = v->index;
    struct mpivf_file file = mpivf_index_file(index);
    uint64_t sums[MPIVF_PLANES], stored;
    uint64_t row = index->list_offset[list], rows = index->list_offset[list + 1] - row;
    bool ordered = true;
    mpivf_status status = mpivf_file_read(v->ctx, &file, &stored, sizeof stored,
                                          index->layout.list_checksum + list * sizeof stored);
    for (int p = 0; p < v->planes.count && status == MPIVF_OK; p++)
        status = plane_checksum(v, p, row, rows, &sums[p], &ordered);
    if (status == MPIVF_OK &&
        (!ordered || mpivf_index_list_checksum(sums, v->planes.count) != stored)) {
        v->damaged++;
        if (list < v->first)
            v->first = list;
    }
    return status;
}

mpivf_status
mpivf_index_verify_all(const struct mpivf_par *par, struct mpivf_index *index,
                       struct mpivf_verdict *verdict)
{
    struct mpivf_context *ctx = par->ctx;
    struct verify v = {.ctx = ctx, .index = index, .first = UINT64_MAX};
    memset(verdict, 0, sizeof *verdict);
    mpivf_planes_of(&index->meta, &index->layout, &v.planes);
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "a buffer");
    v.sum = mpivf_checksum_take(&pool);
    v.buffer = mpivf_pool_take(&pool, PIECE, 1);
    mpivf_status status = mpivf_pool_status(&pool);

    /* rank 0 looks at the centroids, every rank at its share of the lists */
    bool bad_centroids = false;
    if (par->rank == 0 && status == MPIVF_OK && index->meta.centroids > 0) {
        struct mpivf_coarse coarse;
        status = mpivf_index_coarse(index, &coarse);
        mpivf_coarse_clear(&coarse);
        bad_centroids = status == MPIVF_CORRUPT;
        if (bad_centroids) {
            mpivf_clear_error(ctx);
            status = MPIVF_OK;
        }
    }
    uint64_t rank = (uint64_t)par->rank,
             end = mpivf_index_cut(index, rank + 1, (uint64_t)par->size);
    for (uint64_t l = mpivf_index_cut(index, rank, (uint64_t)par->size);
         l < end && status == MPIVF_OK; l++)
        status = verify_list(&v, l);
    mpivf_pool_clear(&pool);
    status = mpivf_agree_all(par, status);
    if (status)
        return status;
    /* all ranks get the same verdict */
    verdict->lists_damaged = mpivf_sum_u64_all(par, v.damaged);
    verdict->first_damaged = mpivf_min_u64_all(par, v.first);
    verdict->centroids_damaged = mpivf_max_u64_all(par, bad_centroids) > 0;
    if (verdict->centroids_damaged)
        return mpivf_fail(ctx, MPIVF_CORRUPT, "the centroids of '%s' are damaged%s", index->path,
                          verdict->lists_damaged ? ", and lists too" : "");
    if (verdict->lists_damaged)
        return mpivf_fail(
            ctx, MPIVF_CORRUPT, "'%s' is damaged in list %llu (%llu of %llu lists in all)",
            index->path, (unsigned long long)verdict->first_damaged,
            (unsigned long long)verdict->lists_damaged, (unsigned long long)index->meta.lists);
    return MPIVF_OK;
}
