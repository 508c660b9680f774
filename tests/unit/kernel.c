/* Every instruction set gives the bits of the portable one; the filter is its definition. */
#include "testing.h"

#include "math/kernel.h"

#include <math.h>

enum { MOST = 4096, SETS = 3 };

static const size_t wide[] = {100, 127, 128, 768, 4096};
static float a[MOST + 1], b[MOST + 1];

/* Values of several sizes: ordinary, huge, tiny, everything at once. */
static void
fill_kind(int kind, float *x, uint64_t stream)
{
    static const double scale[] = {1, 1e30, 1e-30, 1e-42};
    fill_normal(x, MOST, stream, kind < 4 ? scale[kind] : 1, 0);
    for (size_t i = 0; i < MOST && kind == 4; i++)
        x[i] = ldexpf(x[i], (int)(draw(stream + 1, i) % 200) - 100);
}

static size_t
dim_at(size_t i)
{
    return i < 70 ? i + 1 : wide[i - 70];
}

static void
assert_same_bits(double x, double y, const char *set, size_t dim)
{
    if (memcmp(&x, &y, sizeof x) != 0)
        fail_msg("%s, %zu values: %a instead of %a", set, dim, x, y);
}

/* The definition: element i in lane i mod 16, lanes folded by halves. */
static double
by_definition(const float *x, const float *y, size_t dim, bool square)
{
    double lane[16] = {0};
    for (size_t i = 0; i < dim; i++) {
        double d = (double)x[i] - (double)y[i];
        lane[i % 16] += square ? d * d : (double)x[i] * (double)y[i];
    }
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static void
same_bits_in_every_set(void **state)
{
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        fill_kind(kind, a, 1 + (uint64_t)kind);
        fill_kind(kind, b, 100 + (uint64_t)kind);
        for (int s = 0; s < SETS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            for (size_t i = 0; kernel && i < 70 + sizeof wide / sizeof wide[0]; i++) {
                size_t dim = dim_at(i), off = dim < MOST && i % 2; /* unaligned too */
                assert_same_bits(kernel->square(a + off, b, dim),
                                 by_definition(a + off, b, dim, true), kernel->name, dim);
                assert_same_bits(kernel->dot(a, b + off, dim),
                                 by_definition(a, b + off, dim, false), kernel->name, dim);
            }
        }
    }
}

static void
sums_are_right(void **state)
{
    (void)state;
    fill_normal(a, MOST, 7, 1, 0);
    fill_normal(b, MOST, 8, 1, 0);
    long double squares = 0, products = 0;
    for (size_t i = 0; i < MOST; i++) {
        long double d = (long double)a[i] - b[i];
        squares += d * d;
        products += (long double)a[i] * b[i];
    }
    const struct mpivf_kernel *kernel = mpivf_kernel();
    assert_true(fabsl(kernel->square(a, b, MOST) - squares) < 1e-12L * squares);
    assert_true(fabsl(kernel->dot(a, b, MOST) - products) < 1e-12L * squares);
}

static void
no_columns(void **state)
{
    (void)state;
    uint32_t keep[1];
    for (int s = 0; s < SETS; s++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
        if (kernel == NULL)
            continue;
        assert_int_equal(kernel->filter(a, b, a, 0, 2, 1, 0, keep), 0);
        assert_true(kernel->dot(a, b, 0) == 0 && kernel->square(a, b, 0) == 0);
    }
}

/* Columns with every kind of value that a comparison can meet. */
static void
fill_columns(float *product, float *term, float *norm, size_t n, uint64_t round)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, 3e38f, -3e38f};
    fill_normal(product, n, 10 * round, 1, 0);
    fill_normal(term, n, 10 * round + 1, 1, 1);
    fill_normal(norm, n, 10 * round + 2, 0.1, 1);
    for (size_t i = 0; i < n && round % 2; i++) {
        uint64_t which = draw(10 * round + 3, i) % 60;
        if (which < 18)
            (which % 3 == 0 ? product : which % 3 == 1 ? term : norm)[i] = odd[which / 3];
    }
}

static void
filter_is_its_definition(void **state)
{
    (void)state;
    enum { N = 1024 };
    static float product[N], term[N], norm[N];
    static const float limits[] = {-100, -2, 0, 3, 100, INFINITY, -INFINITY, NAN};
    uint32_t keep[N], want[N];
    for (uint64_t round = 0; round < 200; round++) {
        size_t n = round < 130 ? round : N - round % 3, some = 0;
        float limit = limits[round % 8], scale = round % 3 ? 2 : 1;
        float slope = round % 16 == 15 ? NAN : 0.01f;
        fill_columns(product, term, norm, n, round);
        for (size_t i = 0; i < n; i++) {
            float scaled = scale * product[i], less = slope * norm[i];
            float difference = term[i] - scaled;
            difference = difference - less;
            if (!(difference > limit))
                want[some++] = (uint32_t)i;
        }
        for (int s = 0; s < SETS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            if (kernel == NULL)
                continue;
            assert_int_equal(
                kernel->filter(product, term, norm, n, scale, slope, limit, keep), some);
            assert_memory_equal(keep, want, some * sizeof *keep);
        }
    }
}

static void
a_set_is_chosen(void **state)
{
    (void)state;
    assert_non_null(mpivf_kernel_at(0));
    assert_string_equal(mpivf_kernel_at(0)->name, "portable");
    assert_null(mpivf_kernel_at(SETS));
    bool known = false;
    for (int s = 0; s < SETS; s++)
        known |= mpivf_kernel() == mpivf_kernel_at(s);
    assert_true(known);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("kernel: the same bits in every set", same_bits_in_every_set),
        TEST("kernel: sums are right", sums_are_right),
        TEST("kernel: nothing in, nothing out", no_columns),
        TEST("kernel: the filter is its definition", filter_is_its_definition),
        TEST("kernel: a set is chosen", a_set_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
