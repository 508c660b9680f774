/*
 * coarse: the coarse quantizer, lists told apart by their centroids.
 *
 * Adding a row to its list and choosing the lists to probe for a query are the same
 * computation, and it is here: the nearest centroids by canonical distance, ties to the smaller
 * list. l2 uses squared distance; ip and cosine use the largest inner product with unit
 * centroids (so the length of a row does not matter).
 */
#ifndef MPIVF_INDEX_COARSE_H
#define MPIVF_INDEX_COARSE_H

#include "math/nearest.h"

struct mpivf_coarse {
    struct mpivf_context *ctx; /* not owned */
    enum mpivf_metric metric;  /* of the index */
    size_t lists, dim;
    float *centroid; /* owned, [lists, dim] */
    float *centre;   /* owned, [dim] */
    struct mpivf_base base;
    struct mpivf_tile *tile; /* owned, one a thread */
    int threads;
};

/*
 * Room for `lists` centroids. They are set by the caller, then mpivf_coarse_ready. Memory:
 * 2 lists dim floats and a tile a thread. Release with mpivf_coarse_clear, also after failure.
 */
mpivf_status
mpivf_coarse_init(struct mpivf_context *ctx, struct mpivf_coarse *coarse, enum mpivf_metric metric,
                  size_t lists, size_t dim);

void
mpivf_coarse_clear(struct mpivf_coarse *coarse);

/* Prepare after the centroids have changed. */
void
mpivf_coarse_ready(struct mpivf_coarse *coarse);

/*
 * The `probes` nearest lists of each of n rows, nearest first, into list [n, probes];
 * distances too when `distance` is not NULL. probes <= lists. Scratch comes out of the budget:
 * mpivf_coarse_scratch bytes. All threads work. MPIVF_MEMORY.
 */
mpivf_status
mpivf_coarse_probe(struct mpivf_coarse *coarse, const float *row, size_t n, size_t probes,
                   uint32_t *list, double *distance);

/* The nearest list of each row: one probe. */
mpivf_status
mpivf_coarse_assign(struct mpivf_coarse *coarse, const float *row, size_t n, uint32_t *list,
                    double *distance);

/* Bytes of scratch while probing. */
size_t
mpivf_coarse_scratch(const struct mpivf_coarse *coarse, size_t probes);

/* A 64-bit mark of metric, shape and centroids. */
uint64_t
mpivf_coarse_fingerprint(const struct mpivf_coarse *coarse);

#endif
