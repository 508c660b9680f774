#include "codec/loss.h"

#include "math/distance.h"

#include <math.h>

static const double MATTERS = 0.03;

/* The distance, squared, to the centroid; for ip and cosine to the one brought to the row's length. */
static double
distance_of(enum mpivf_metric metric, const float *row, const float *centroid, double square, size_t dim)
{
    if (metric == MPIVF_L2)
        return mpivf_distance(MPIVF_L2, row, 0, centroid, dim);
    double apart = 1 + mpivf_distance(MPIVF_IP, row, 0, centroid, dim) / sqrt(square);
    return apart > 0 ? 2 * apart * square : 0;
}

static uint64_t
count_vanished(const float *row, const float *stored, size_t dim)
{
    uint64_t vanished = 0;
    for (size_t i = 0; i < dim; i++)
        vanished += row[i] != 0 && stored[i] == 0;
    return vanished;
}

void
mpivf_loss_add(struct mpivf_loss *loss, enum mpivf_metric metric, const float *row,
               const float *stored, const float *centroid, double decoded, size_t dim)
{
    double square = metric == MPIVF_L2 ? 0 : mpivf_square(row, dim);
    loss->rows++;
    if (stored)
        loss->vanished += count_vanished(row, stored, dim);
    if (metric != MPIVF_L2 && !(square > 0))
        return; /* it has no direction */
    double weight = metric == MPIVF_COSINE ? 1 / square : 1;
    loss->decoded += weight * decoded;
    loss->distance += weight * distance_of(metric, row, centroid, square, dim);
    if (stored)
        loss->coded += weight * mpivf_distance(MPIVF_L2, row, 0, stored, dim);
}

void
mpivf_loss_join(struct mpivf_loss *loss, const struct mpivf_loss *other)
{
    loss->decoded += other->decoded;
    loss->coded += other->coded;
    loss->distance += other->distance;
    loss->rows += other->rows;
    loss->vanished += other->vanished;
    loss->too_large += other->too_large;
}

static void
join(void *arg, void *data, const void *other)
{
    (void)arg;
    mpivf_loss_join(data, other);
}

void
mpivf_loss_sum_all(const struct mpivf_par *par, struct mpivf_loss *loss)
{
    struct mpivf_loss other;
    mpivf_tree_all(par, loss, &other, sizeof *loss, join, NULL);
    mpivf_bcast_all(par, loss, sizeof *loss);
}

double
mpivf_loss_share(double error, double distance)
{
    return error > 0 ? sqrt(error / (error + distance)) : 0;
}

bool
mpivf_loss_matters(double share)
{
    return share > MATTERS;
}

void
mpivf_loss_warn_decoded(struct mpivf_context *ctx, double share)
{
    if (mpivf_loss_matters(share))
        mpivf_warn(ctx, "the rows are float64 and the index holds float32: that loses %.1f %% of what "
                   "tells neighbours apart; subtract the mean of the columns, or scale the data, first "
                   "(truth computes with float64)", 100 * share);
}

double
mpivf_loss_trained(enum mpivf_metric metric, double objective)
{
    return metric == MPIVF_L2 ? objective : 2 * objective;
}
