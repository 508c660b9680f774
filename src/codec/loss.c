#include "codec/loss.h"

#include "math/distance.h"

#include <math.h>

static const double MATTERS = 0.03;

/* A float32 centroid is off by so much of its squared length itself: less is no distance. */
static const double NO_DISTANCE = 0x1p-48;

static double
beyond(double distance, double square)
{
    return distance > NO_DISTANCE * square ? distance - NO_DISTANCE * square : 0;
}

/* The square of the length of a - scale b. */
static double
difference(const float *a, const float *b, double scale, size_t dim)
{
    enum { LANES = 8 };
    double sum[LANES] = {0}, all = 0;
    if (scale == 1) /* which is faster */
        return mpivf_distance(MPIVF_L2, a, 0, b, dim);
    for (size_t i = 0; i + LANES <= dim; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            double d = (double)a[i + lane] - scale * (double)b[i + lane];
            sum[lane] += d * d;
        }
    for (size_t i = dim / LANES * LANES; i < dim; i++) {
        double d = (double)a[i] - scale * (double)b[i];
        all += d * d;
    }
    for (size_t lane = 0; lane < LANES; lane++)
        all += sum[lane];
    return all;
}

static uint32_t
count_vanished(const float *row, const float *stored, size_t dim)
{
    uint32_t vanished = 0; /* 32 bits and no branch: as many lanes as floats have */
    for (size_t i = 0; i < dim; i++)
        vanished += (uint32_t)(row[i] != 0) & (uint32_t)(stored[i] == 0);
    return vanished;
}

void
mpivf_loss_add(struct mpivf_loss *loss, enum mpivf_metric metric, const float *row,
               const float *stored, const float *centroid, double decoded, size_t dim)
{
    double square = mpivf_square(row, dim);
    bool l2 = metric == MPIVF_L2;
    loss->rows++;
    if (stored)
        loss->vanished += count_vanished(row, stored, dim);
    if (!l2 && !(square > 0))
        return; /* it has no direction */
    double weight = metric == MPIVF_COSINE ? 1 / square : 1;
    loss->decoded += weight * decoded;
    double distance = difference(row, centroid, l2 ? 1 : sqrt(square), dim);
    loss->distance += weight * beyond(distance, square);
    if (stored)
        loss->coded += weight * difference(row, stored, 1, dim);
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
        mpivf_warn(ctx,
                   "the rows are float64 and the index holds float32: that loses %.1f %% of "
                   "what tells neighbours apart; subtract the mean of the columns, or scale the "
                   "data, first (truth computes with float64)",
                   100 * share);
}
