/* Adding rows up as integers: every instruction set against llrint, column by column. */
#include "testing.h"

#include "math/kernel.h"

#include <math.h>

enum { MAX = 1030 };

static float row[MAX + 1];
static int64_t sum[MAX + 1], want[MAX + 1];

/* What the header promises, and nothing beyond the last column is touched. */
static void
check(const struct mpivf_kernel *kernel, const float *x, size_t dim, double scale)
{
    for (size_t i = 0; i <= MAX; i++)
        sum[i] = want[i] = (int64_t)draw(3, i) >> 1;
    for (size_t i = 0; i < dim; i++)
        want[i] += llrint((double)x[i] * scale);
    kernel->add(x, dim, scale, sum);
    for (size_t i = 0; i <= MAX; i++)
        if (sum[i] != want[i])
            fail_msg("%s, %zu columns, column %zu, %a times %a: %lld instead of %lld", kernel->name,
                     dim, i, (double)x[i], scale, (long long)sum[i], (long long)want[i]);
    for (size_t i = 0; i < dim; i++) /* the opposite takes it away again */
        want[i] -= llrint((double)x[i] * scale);
    kernel->add(x, dim, -scale, sum);
    assert_memory_equal(sum, want, sizeof sum);
}

static void
check_sets(const float *x, size_t dim, double scale)
{
    for (int s = 0; s < MPIVF_KERNELS; s++)
        if (mpivf_kernel_at(s))
            check(mpivf_kernel_at(s), x, dim, scale);
}

static void
any_width(void **state)
{
    (void)state;
    fill_normal(row, MAX + 1, 1, 1, 0);
    for (size_t dim = 0; dim < 70; dim++) {
        check_sets(row, dim, 0x1p40);
        check_sets(row + 1, dim, 0x1p20);
        check_sets(row + 1, dim, 1234567.891); /* a product that is rounded itself */
    }
    check_sets(row, 768, 0x1p40);
    check_sets(row + 1, MAX - 1, 0x1p45);
}

/* Halves go to the even neighbour on both sides of nothing. */
static void
ties_to_even(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX; i++)
        row[i] = ((float)i - MAX / 2) / 4;
    check_sets(row, MAX, 1);
    check_sets(row, MAX, 2);
    check_sets(row, MAX, 0x1p49 / MAX);
}

static void
nearly_too_large(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX; i++) { /* up to the last float below 1 */
        row[i] = 1 - (float)(1 + draw(5, i) % 64) * 0x1p-24f;
        row[i] = draw(6, i) % 2 ? row[i] : -row[i];
    }
    row[0] = nextafterf(1, 0);
    row[8] = -row[0];
    check_sets(row, MAX, 0x1p51);
    check_sets(row + 1, MAX - 1, 0x1p50);
}

static void
all_magnitudes(void **state)
{
    (void)state;
    fill_normal(row, MAX, 7, 1, 0);
    for (size_t i = 0; i < MAX; i++)
        row[i] = ldexpf(row[i], (int)(draw(8, i) % 90) - 88);
    check_sets(row, MAX, 0x1p47);
    for (size_t i = 0; i < MAX; i++)
        row[i] = ldexpf((float)(draw(9, i) % 1000) - 500, -148); /* subnormal */
    check_sets(row, MAX, 0x1p180);
    memset(row, 0, sizeof row);
    row[3] = -0.0f;
    check_sets(row, MAX, 0x1p51);
}

/* A row in, a row out, in any order and by any set: nothing is left. */
static void
sums_in_any_order(void **state)
{
    (void)state;
    enum { ROWS = 200, DIM = 37 };
    float *rows = room(ROWS * DIM, sizeof *rows);
    fill_normal(rows, ROWS * DIM, 10, 1000, -300);
    memset(sum, 0, sizeof sum);
    memset(want, 0, sizeof want);
    for (size_t i = 0; i < ROWS; i++) {
        size_t back = ROWS - 1 - i;
        const struct mpivf_kernel *other = mpivf_kernel_at((int)(i % MPIVF_KERNELS));
        mpivf_kernel()->add(rows + i * DIM, DIM, 0x1p30, sum);
        (other ? other : mpivf_kernel())->add(rows + back * DIM, DIM, 0x1p30, want);
    }
    assert_memory_equal(sum, want, sizeof sum);
    for (size_t i = 0; i < ROWS; i++)
        mpivf_kernel()->add(rows + i * DIM, DIM, -0x1p30, sum);
    for (size_t j = 0; j < DIM; j++)
        assert_true(sum[j] == 0);
    free(rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("kernel: adding, any width", any_width),
        TEST("kernel: adding, ties go to the even number", ties_to_even),
        TEST("kernel: adding, values near 2^51", nearly_too_large),
        TEST("kernel: adding, all magnitudes", all_magnitudes),
        TEST("kernel: adding, in any order", sums_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
