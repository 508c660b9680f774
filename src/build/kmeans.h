/*
 * kmeans: from a sample to centroids, over all ranks.
 *
 * Few lists are trained by Lloyd's iterations from random rows. More are begun on two levels: the
 * square root of so many centroids from few rows, each of their cells cut into lists in proportion
 * to its rows (largest remainder), and iterations inside the cells. Then local iterations, in which
 * a row looks among the 48 centroids nearest to its own, alternate with global ones, in which it
 * finds its nearest of all: each is used while it gains more for its cost.
 *
 * All decisions follow from objectives and counts that are the same on every rank, for every number
 * of ranks and threads, and with any memory.
 */
#ifndef MPIVF_BUILD_KMEANS_H
#define MPIVF_BUILD_KMEANS_H

#include "build/draw.h"
#include "index/coarse.h"

/* How many rows to draw for each level, `wanted` in all. Local. */
void
mpivf_kmeans_wanted(uint64_t lists, uint64_t wanted, uint64_t level[MPIVF_SAMPLE_LEVELS]);

/*
 * Bytes that training takes on a rank beside the sample: about lists x (21 dim + 600) on rank 0.
 * `added`: the lists that cutting is expected to add; 0 = nothing is cut. Local.
 */
size_t
mpivf_kmeans_bytes(enum mpivf_metric metric, size_t lists, size_t added, size_t dim, int threads,
                   bool root);

/*
 * Move the centroids of `coarse` (initialised, not yet set) to a local minimum of the mean
 * distance; spherical for ip and cosine, whose sample rows are unit vectors. The reported objective
 * is of the centroids before the last update. Lists with more than `max` rows of the sample are
 * cut, so that there are more of them (balance.h); 0 = as they come. MPIVF_INPUT when fewer rows
 * were drawn than there are lists. Collective, agreed.
 */
mpivf_status
mpivf_kmeans_all(const struct mpivf_par *par, struct mpivf_sample *sample,
                 const struct mpivf_train_options *options, uint64_t max,
                 struct mpivf_progress *progress, struct mpivf_coarse *coarse,
                 struct mpivf_train_summary *trained);

#endif
