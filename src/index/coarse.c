#include "index/coarse.h"

#include "io/checksum.h"

#include <omp.h>
#include <string.h>

enum { BATCH = 1024 }; /* rows a thread works on at a time */

/* Length does not matter for the order of inner products, so cosine needs no unit rows here. */
static enum mpivf_metric
inner_metric(enum mpivf_metric metric)
{
    return metric == MPIVF_L2 ? MPIVF_L2 : MPIVF_IP;
}

mpivf_status
mpivf_coarse_init(struct mpivf_context *ctx, struct mpivf_coarse *coarse, enum mpivf_metric metric,
                  size_t lists, size_t dim)
{
    *coarse = (struct mpivf_coarse){
        .ctx = ctx, .metric = metric, .lists = lists, .dim = dim, .threads = ctx->threads};
    coarse->centroid = mpivf_alloc(ctx, "the centroids", lists * dim, sizeof(float));
    coarse->centre = mpivf_alloc(ctx, "the centroids", dim, sizeof(float));
    coarse->tile = mpivf_alloc_zero(ctx, "tiles", (size_t)ctx->threads, sizeof *coarse->tile);
    if (!coarse->centroid || !coarse->centre || !coarse->tile)
        return MPIVF_MEMORY;
    mpivf_status status = mpivf_base_init(
        ctx, &coarse->base, inner_metric(metric), mpivf_filter_best(dim), dim, lists);
    for (int t = 0; t < coarse->threads && status == MPIVF_OK; t++)
        status = mpivf_tile_init(ctx, &coarse->tile[t], dim);
    return status;
}

void
mpivf_coarse_clear(struct mpivf_coarse *coarse)
{
    struct mpivf_context *ctx = coarse->ctx;
    if (ctx == NULL)
        return;
    for (int t = 0; coarse->tile && t < coarse->threads; t++)
        mpivf_tile_clear(ctx, &coarse->tile[t]);
    mpivf_base_clear(ctx, &coarse->base);
    mpivf_free(ctx, coarse->tile);
    mpivf_free(ctx, coarse->centre);
    mpivf_free(ctx, coarse->centroid);
    memset(coarse, 0, sizeof *coarse);
}

void
mpivf_coarse_ready(struct mpivf_coarse *coarse)
{
    enum mpivf_metric metric = inner_metric(coarse->metric);
    mpivf_prepare_centre(metric, coarse->centroid, coarse->lists, coarse->dim, coarse->centre);
    mpivf_base_fill(&coarse->base, coarse->centroid, coarse->lists, coarse->centre, NULL, 0);
}

/* What one thread needs to look up a batch of rows. */
struct lookup {
    struct mpivf_queries queries;
    struct mpivf_topk topk;
};

static void
lookup_batch(struct mpivf_coarse *coarse, struct lookup *lookup, struct mpivf_tile *tile,
             const float *row, size_t n, size_t probes, uint32_t *list, double *distance)
{
    struct mpivf_topk *topk = &lookup->topk;
    mpivf_topk_reset(topk);
    mpivf_queries_fill(&lookup->queries, row, n, coarse->centre);
    struct mpivf_scan_of all = {.n = n};
    mpivf_nearest_scan(&lookup->queries, &all, &coarse->base, topk, tile);
    for (size_t i = 0; i < n; i++) {
        struct mpivf_candidate *entry = topk->entry + i * topk->room;
        mpivf_topk_settle(topk, i);
        if (probes > 1)
            mpivf_topk_sort(entry, probes);
        for (size_t p = 0; p < probes; p++) {
            list[i * probes + p] = (uint32_t)entry[p].id;
            if (distance)
                distance[i * probes + p] = entry[p].distance;
        }
    }
}

static size_t
batch_rows(size_t probes)
{
    size_t rows = ((size_t)8 << 20) / mpivf_topk_query_bytes(probes); /* 8 MiB of entries a thread */
    return rows < 1 ? 1 : rows > BATCH ? BATCH : rows;
}

size_t
mpivf_coarse_scratch(const struct mpivf_coarse *coarse, size_t probes)
{
    size_t row = mpivf_topk_query_bytes(probes) + mpivf_prepare_row_bytes(coarse->dim);
    return (size_t)coarse->threads * (batch_rows(probes) * row + coarse->dim * sizeof(float) +
                                      sizeof(struct lookup) + 2048);
}

mpivf_status
mpivf_coarse_probe(struct mpivf_coarse *coarse, const float *row, size_t n, size_t probes,
                   uint32_t *list, double *distance)
{
    struct mpivf_context *ctx = coarse->ctx;
    size_t batch = batch_rows(probes), threads = (size_t)coarse->threads;
    struct lookup *lookup = mpivf_alloc_zero(ctx, "lookups", threads, sizeof *lookup);
    mpivf_status status = lookup ? MPIVF_OK : MPIVF_MEMORY;
    for (size_t t = 0; t < threads && status == MPIVF_OK; t++) {
        status = mpivf_queries_init(ctx, &lookup[t].queries, inner_metric(coarse->metric),
                                    coarse->base.filter, coarse->dim, batch);
        if (status == MPIVF_OK)
            status = mpivf_topk_init(ctx, &lookup[t].topk, batch, probes);
    }
    if (status == MPIVF_OK) {
#pragma omp parallel for num_threads(coarse->threads) schedule(dynamic)
        for (size_t first = 0; first < n; first += batch) {
            size_t t = (size_t)omp_get_thread_num(), rows = n - first < batch ? n - first : batch;
            lookup_batch(coarse, &lookup[t], &coarse->tile[t], row + first * coarse->dim, rows,
                         probes, list + first * probes,
                         distance ? distance + first * probes : NULL);
        }
    }
    for (size_t t = 0; lookup && t < threads; t++) {
        mpivf_queries_clear(ctx, &lookup[t].queries);
        mpivf_topk_clear(ctx, &lookup[t].topk);
    }
    mpivf_free(ctx, lookup);
    return status;
}

mpivf_status
mpivf_coarse_assign(struct mpivf_coarse *coarse, const float *row, size_t n, uint32_t *list,
                    double *distance)
{
    return mpivf_coarse_probe(coarse, row, n, 1, list, distance);
}

uint64_t
mpivf_coarse_fingerprint(const struct mpivf_coarse *coarse)
{
    uint64_t parts[4] = {(uint64_t)coarse->metric, coarse->lists, coarse->dim,
                         mpivf_checksum_of(coarse->centroid,
                                           coarse->lists * coarse->dim * sizeof(float))};
    return mpivf_checksum_of(parts, sizeof parts);
}
