/* kmeans: Lloyd's iterations over a sample that is spread over the ranks. */
#ifndef MPIVF_BUILD_KMEANS_H
#define MPIVF_BUILD_KMEANS_H

#include "build/sample.h"
#include "index/coarse.h"

/*
 * Move the centroids of `coarse` (initialised, not yet set) from seeds drawn out of the sample
 * to a local minimum of the mean distance; spherical for ip and cosine, whose sample rows are
 * unit vectors. Empty lists are repaired by splitting the largest, ties to the smaller number.
 * The reported objective is of the centroids before the last update. Collective; the same
 * centroids on every rank and for every number of ranks.
 */
mpivf_status
mpivf_kmeans_all(const struct mpivf_par *par, const struct mpivf_sample *sample,
                 const struct mpivf_train_options *options, struct mpivf_progress *progress,
                 struct mpivf_coarse *coarse, struct mpivf_trained *trained);

#endif
