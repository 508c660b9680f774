/* What rows lose, against sums of our own. */
#include "testing.h"

#include "codec/loss.h"

#include <math.h>

enum { ROWS = 40, DIM = 9 };

static void
store(const float *row, float *stored)
{
    const struct mpivf_codec *codec = mpivf_codec(MPIVF_CODEC_F16);
    uint16_t code[DIM];
    void *plane[] = {code};
    codec->encode(row, 1, DIM, NULL, plane);
    codec->decode(plane, 1, DIM, NULL, stored);
}

/* The share that codec f16 takes, by the definition; centroids of ip and cosine have length 1. */
static double
by_definition(enum mpivf_metric metric, const float *row, const float *centroid)
{
    double error = 0, distance = 0;
    for (size_t r = 0; r < ROWS; r++) {
        float stored[DIM];
        double length = 0;
        store(row + r * DIM, stored);
        for (size_t i = 0; i < DIM; i++)
            length += (double)row[r * DIM + i] * (double)row[r * DIM + i];
        length = sqrt(length);
        for (size_t i = 0; i < DIM; i++) {
            double x = (double)row[r * DIM + i], e = x - (double)stored[i];
            double d = x - (metric == MPIVF_L2 ? 1 : length) * (double)centroid[i];
            error += e * e / (metric == MPIVF_COSINE ? length * length : 1);
            distance += d * d / (metric == MPIVF_COSINE ? length * length : 1);
        }
        distance -= 0x1p-48 * (metric == MPIVF_COSINE ? 1 : length * length);
    }
    return sqrt(error / (error + distance));
}

static double
measured(enum mpivf_metric metric, const float *row, const float *centroid, uint64_t *vanished)
{
    struct mpivf_loss all = {0};
    for (size_t r = 0; r < ROWS; r++) {
        struct mpivf_loss one = {0};
        float stored[DIM];
        store(row + r * DIM, stored);
        mpivf_loss_add(&one, metric, row + r * DIM, stored, centroid, 0, DIM);
        mpivf_loss_join(&all, &one);
    }
    assert_true(all.rows == ROWS && all.decoded == 0);
    *vanished = all.vanished;
    return mpivf_loss_share(all.coded, all.distance);
}

static void
as_defined(void **state)
{
    (void)state;
    static const double scale[] = {1, 1e-2, 1e-8, 1e-7, 1000}, offset[] = {0, 1000, 0, 0, 0};
    float row[ROWS * DIM], centroid[DIM];
    for (int m = 0; m < MPIVF_METRICS; m++)
        for (int kind = 0; kind < 5; kind++) {
            uint64_t vanished, zeros = 0;
            enum mpivf_metric metric = (enum mpivf_metric)m;
            fill_normal(row, ROWS * DIM, 3, scale[kind], offset[kind]);
            fill_normal(centroid, DIM, 4, 0.1 * scale[kind], offset[kind]);
            for (size_t i = 0; i < DIM && metric != MPIVF_L2; i++)
                centroid[i] = i < 1 ? 0.6f : i < 2 ? 0.8f : 0;
            double share = measured(metric, row, centroid, &vanished);
            double want = by_definition(metric, row, centroid);
            if (!(fabs(share - want) <= 1e-6 * want)) /* 0.6f and 0.8f have no length of 1 quite */
                fail_msg("%s, kind %d: %g instead of %g", mpivf_metric_name(metric), kind, share,
                         want);
            for (size_t i = 0; i < ROWS * DIM; i++)
                zeros += row[i] != 0 && fabsf(row[i]) <= 0x1p-25f;
            assert_int_equal(vanished, zeros);
            /*
             * near its centroid only l2 sees the rows at 1000, and any metric what is left of 1e-8
             */
            bool matters = kind == 2 || kind == 3 || (kind == 1 && m == 0);
            assert_int_equal(mpivf_loss_matters(share), matters);
        }
}

/* A row of zeros has no direction, and loses nothing. */
static void
rows_of_zeros(void **state)
{
    (void)state;
    float row[DIM] = {0}, centroid[DIM] = {1};
    for (int m = 0; m < MPIVF_METRICS; m++) {
        struct mpivf_loss loss = {0};
        mpivf_loss_add(&loss, (enum mpivf_metric)m, row, row, centroid, 0, DIM);
        assert_true(loss.rows == 1 && loss.coded == 0 && loss.vanished == 0);
        assert_true(loss.distance == (m == MPIVF_L2 ? 1 : 0));
    }
}

static void
shares(void **state)
{
    (void)state;
    assert_true(mpivf_loss_share(0, 0) == 0 && mpivf_loss_share(0, 1) == 0);
    assert_true(mpivf_loss_share(1, 0) == 1);
    assert_true(fabs(mpivf_loss_share(9, 16) - 0.6) < 1e-15);
    assert_true(!mpivf_loss_matters(0.02) && mpivf_loss_matters(0.05));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("loss: as defined, for every metric", as_defined),
        TEST("loss: rows of zeros", rows_of_zeros),
        TEST("loss: shares", shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
