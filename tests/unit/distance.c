/* The canonical distance against long double, and what must hold exactly. */
#include "testing.h"

#include "math/distance.h"

#include <math.h>

enum { MAX = 768 };

static const size_t dims[] = {1, 2, 3, 15, 16, 17, 100, 768};
enum { DIMS = sizeof dims / sizeof dims[0] };

struct sums {
    long double difference, product, absolute, a, b;
};

static struct sums
naive(const float *a, const float *b, size_t dim)
{
    struct sums s = {0};
    for (size_t i = 0; i < dim; i++) {
        long double x = a[i], y = b[i];
        s.difference += (x - y) * (x - y);
        s.product += x * y;
        s.absolute += fabsl(x * y);
        s.a += x * x;
        s.b += y * y;
    }
    return s;
}

static void
assert_near(double got, long double want, long double size)
{
    if (!(fabsl(got - want) <= 1e-12L * size))
        fail_msg("%.17g is not %.17Lg", got, want);
}

static void
assert_all_metrics(const float *a, const float *b, size_t dim)
{
    struct sums s = naive(a, b, dim);
    double square = mpivf_square(a, dim);
    assert_near(square, s.a, s.a);
    assert_near(mpivf_distance(MPIVF_L2, a, square, b, dim), s.difference, s.difference);
    assert_near(mpivf_distance(MPIVF_IP, a, square, b, dim), -s.product, s.absolute);
    long double cosine = s.a > 0 && s.b > 0 ? 1 - s.product / (sqrtl(s.a) * sqrtl(s.b)) : 1;
    assert_near(mpivf_distance(MPIVF_COSINE, a, square, b, dim), cosine, 1);
}

static void
as_long_double(void **state)
{
    (void)state;
    static const double scale[] = {1, 1e-20, 1e18, 1e30, 3e37, 1e-40};
    float a[MAX], b[MAX];
    for (size_t s = 0; s < sizeof scale / sizeof scale[0]; s++)
        for (size_t d = 0; d < DIMS; d++) {
            fill_normal(a, dims[d], 2 * d, scale[s], 0);
            fill_normal(b, dims[d], 2 * d + 1, scale[s], scale[s] * (double)(d % 3));
            assert_all_metrics(a, b, dims[d]);
        }
}

static void
zero_vectors(void **state)
{
    (void)state;
    const float zero[20] = {0}, minus[20] = {-0.0f};
    float a[20];
    fill_normal(a, 20, 3, 1, 0);
    assert_true(mpivf_distance(MPIVF_COSINE, a, mpivf_square(a, 20), zero, 20) == 1.0);
    assert_true(mpivf_distance(MPIVF_COSINE, zero, 0, a, 20) == 1.0);
    assert_true(mpivf_distance(MPIVF_COSINE, zero, 0, zero, 20) == 1.0);
    assert_true(mpivf_distance(MPIVF_L2, zero, 0, zero, 20) == 0.0);
    assert_true(mpivf_distance(MPIVF_L2, zero, 0, minus, 20) == 0.0);
    double product = mpivf_distance(MPIVF_IP, a, 0, zero, 20);
    assert_true(product == 0.0 && !signbit(product)); /* there is one zero */
}

static void
to_itself(void **state)
{
    (void)state;
    float a[MAX];
    for (uint64_t i = 0; i < 2000; i++) {
        size_t dim = dims[i % DIMS];
        fill_normal(a, dim, i, pow(10, (double)(i % 60) - 30), 0);
        double square = mpivf_square(a, dim);
        assert_true(mpivf_distance(MPIVF_COSINE, a, square, a, dim) == 0.0);
        assert_true(mpivf_distance(MPIVF_L2, a, square, a, dim) == 0.0);
        assert_true(mpivf_distance(MPIVF_IP, a, square, a, dim) == -square);
    }
}

static void
is_symmetric(void **state)
{
    (void)state;
    float a[100], b[100];
    for (uint64_t i = 0; i < 200; i++) {
        fill_normal(a, 100, 2 * i, 1, 0);
        fill_normal(b, 100, 2 * i + 1, 1, 0);
        double x = mpivf_square(a, 100), y = mpivf_square(b, 100);
        for (int m = 0; m < MPIVF_METRICS; m++)
            assert_true(mpivf_distance((enum mpivf_metric)m, a, x, b, 100) ==
                        mpivf_distance((enum mpivf_metric)m, b, y, a, 100));
    }
}

static void
sees_what_is_not_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    float a[70] = {0};
    for (size_t dim = 0; dim <= 70; dim++) {
        fill_normal(a, dim, dim, 3e37, 0);
        assert_true(mpivf_finite(a, dim));
        for (size_t i = 0; i < dim; i++) {
            float kept = a[i];
            a[i] = bad[i % 4];
            assert_false(mpivf_finite(a, dim));
            a[i] = i % 2 ? 3.4028234e38f : 0x1p-149f;
            assert_true(mpivf_finite(a, dim));
            a[i] = kept;
        }
    }
}

static struct mpivf_raw
raw64(const double *row)
{
    return mpivf_raw_of(true, row);
}

/* Rows of float64 whose squares, or their product, float64 can or cannot hold. */
static void
float64_as_long_double(void **state)
{
    (void)state;
    static const double scale[] = {1, 1e-100, 1e100, 1e150, 1e-140, 1e-60, 1e8};
    double a[MAX], b[MAX];
    enum { SCALES = sizeof scale / sizeof scale[0] };
    for (size_t s = 0; s < SCALES * SCALES; s++)
        for (size_t d = 0; d < DIMS; d++) {
            size_t dim = dims[d];
            long double product = 0, difference = 0, absolute = 0, x = 0, y = 0;
            for (size_t i = 0; i < dim; i++) {
                a[i] = scale[s % SCALES] * mpivf_random_normal(2 * d, MPIVF_FOR_NOISE, i);
                b[i] = scale[s / SCALES] * mpivf_random_normal(2 * d + 1, MPIVF_FOR_NOISE, i);
                product += (long double)a[i] * b[i];
                absolute += fabsl((long double)a[i] * b[i]);
                difference += ((long double)a[i] - b[i]) * ((long double)a[i] - b[i]);
                x += (long double)a[i] * a[i];
                y += (long double)b[i] * b[i];
            }
            double square = mpivf_raw_square(raw64(a), dim);
            assert_near(square, x, x);
            assert_near(mpivf_raw_distance(MPIVF_L2, raw64(a), square, raw64(b), dim), difference,
                        difference);
            assert_near(mpivf_raw_distance(MPIVF_IP, raw64(a), square, raw64(b), dim), -product,
                        absolute);
            double cosine = mpivf_raw_distance(MPIVF_COSINE, raw64(a), square, raw64(b), dim);
            assert_near(cosine, 1 - product / (sqrtl(x) * sqrtl(y)), 1);
            /* to itself, and both ways */
            assert_true(mpivf_raw_distance(MPIVF_COSINE, raw64(a), square, raw64(a), dim) == 0);
            assert_true(mpivf_raw_distance(MPIVF_COSINE, raw64(b), mpivf_raw_square(raw64(b), dim),
                                           raw64(a), dim) == cosine);
        }
}

/* The scale of a row, a power of two, shows in no bit of its cosine distance. */
static void
cosine_does_not_know_the_scale(void **state)
{
    (void)state;
    double a[100], b[100], scaled[100];
    for (size_t i = 0; i < 100; i++) {
        a[i] = mpivf_random_normal(1, MPIVF_FOR_NOISE, i);
        b[i] = mpivf_random_normal(2, MPIVF_FOR_NOISE, i);
    }
    double square = mpivf_raw_square(raw64(a), 100);
    double want = mpivf_raw_distance(MPIVF_COSINE, raw64(a), square, raw64(b), 100);
    for (int power = -400; power <= 500; power += 25) {
        for (size_t i = 0; i < 100; i++)
            scaled[i] = ldexp(b[i], power);
        assert_true(mpivf_raw_distance(MPIVF_COSINE, raw64(a), square, raw64(scaled), 100) == want);
    }
    memset(b, 0, sizeof b);
    assert_true(mpivf_raw_distance(MPIVF_COSINE, raw64(a), square, raw64(b), 100) == 1);
}

static void
good_float64_rows(void **state)
{
    (void)state;
    double a[70] = {0};
    static const double bad[] = {NAN, -NAN, INFINITY, -INFINITY, 1.1e154, -1.7e308};
    static const double good[] = {1e153, -1e153, 0x1p-1074, -0.0, 1e39};
    for (size_t dim = 1; dim <= 70; dim++)
        for (size_t i = 0; i < dim; i++) {
            a[i] = bad[i % 6];
            assert_false(mpivf_raw_good(raw64(a), dim));
            a[i] = good[i % 5];
            assert_true(mpivf_raw_good(raw64(a), dim));
            a[i] = 0;
        }
    float b[2] = {3e38f, 3e38f};
    assert_true(mpivf_raw_good(mpivf_raw_of(false, b), 2));
    b[1] = NAN;
    assert_false(mpivf_raw_good(mpivf_raw_of(false, b), 2));
}

static void
normalise(void **state)
{
    (void)state;
    static const double scale[] = {1, 1e30, 1e-30};
    float a[MAX], unit[MAX];
    for (size_t s = 0; s < 3; s++)
        for (size_t d = 0; d < DIMS; d++) {
            fill_normal(a, dims[d], d, scale[s], 0);
            mpivf_normalise(a, dims[d], unit);
            assert_true(fabs(mpivf_square(unit, dims[d]) - 1) < 1e-6);
            assert_true(mpivf_distance(MPIVF_COSINE, a, mpivf_square(a, dims[d]), unit, dims[d]) <
                        1e-12);
            mpivf_normalise(a, dims[d], a);
            assert_memory_equal(a, unit, dims[d] * sizeof *a);
        }
    memset(a, 0, sizeof a);
    mpivf_normalise(a, 16, unit);
    assert_memory_equal(a, unit, 16 * sizeof *a);
}

static void
shown(void **state)
{
    (void)state;
    assert_true(mpivf_distance_shown(MPIVF_L2, 9) == 3);
    assert_true(mpivf_distance_shown(MPIVF_IP, -9) == -9);
    assert_true(mpivf_distance_shown(MPIVF_COSINE, 0.25) == 0.25);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("distance: as long double has it, in every size", as_long_double),
        TEST("distance: zero vectors", zero_vectors),
        TEST("distance: a vector to itself is exact", to_itself),
        TEST("distance: the same both ways, to the bit", is_symmetric),
        TEST("distance: finite sees every place", sees_what_is_not_finite),
        TEST("distance: float64 as long double has it", float64_as_long_double),
        TEST("distance: cosine does not know the scale", cosine_does_not_know_the_scale),
        TEST("distance: which float64 rows are good", good_float64_rows),
        TEST("distance: normalise", normalise),
        TEST("distance: what users see", shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
