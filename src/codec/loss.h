/*
 * loss: what rows lose on their way into an index, against how far they lie from their centroids.
 *
 * A float64 row becomes the nearest float32 row (decoded), and that row a code (coded). Neighbours
 * in a list are about as far apart as rows lie from its centroid; of what is lost, the share
 *
 *     error / sqrt(error^2 + distance^2),   error, distance: root mean squares over the rows
 *
 * tells how much of what tells them apart is gone: 0 nothing, 1 all. Recall suffers from a few per
 * cent on. For cosine all of it is of rows of length 1, which is why a row's own scale plays no
 * part.
 *
 * Sums are of doubles, so the last digits, which nobody is shown, depend on the order of the rows.
 */
#ifndef MPIVF_CODEC_LOSS_H
#define MPIVF_CODEC_LOSS_H

#include "codec/codec.h"

#include <mpivf/par.h>

struct mpivf_loss {
    double decoded, coded; /* squares of the lengths of what was lost, added up */
    double distance;       /* of those to the centroids */
    uint64_t rows;
    uint64_t vanished;  /* values other than 0 that the code makes 0 */
    uint64_t too_large; /* rows that are finite but too large for float32 or the code; rejected */
};

/*
 * Add one row, assigned to `centroid`, which lost `decoded` (a square) as it became float32.
 * `stored` is what its code stands for; NULL where that is the row. Local.
 */
void
mpivf_loss_add(struct mpivf_loss *loss, enum mpivf_metric metric, const float *row,
               const float *stored, const float *centroid, double decoded, size_t dim);

/* Add what was counted elsewhere, on another thread. Local. */
void
mpivf_loss_join(struct mpivf_loss *loss, const struct mpivf_loss *other);

/* All ranks' together, on every rank. Collective, agreed. */
void
mpivf_loss_sum_all(const struct mpivf_par *par, struct mpivf_loss *loss);

/*
 * The share that an error takes whose squares, and those of the distances, add up to this. Local.
 */
double
mpivf_loss_share(double error, double distance);

/* Is that worth a warning? Local. */
bool
mpivf_loss_matters(double share);

/*
 * Warn of rows that lost such a share as they became float32, if it is worth it. For rank 0. Local.
 */
void
mpivf_loss_warn_decoded(struct mpivf_context *ctx, double share);

#endif
