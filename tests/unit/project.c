/* The axes of rows, and rows brought down to them; what that says of distances is in prepare.c. */
#include "rows.h"

#include "math/blas.h"
#include "math/kernel.h"
#include "math/project.h"

enum { DIM = 128, ROWS = 1000, RANK = 24 };

static struct mpivf_context ctx;
static float row[ROWS * DIM], centre[DIM];

/* Sums of RANK directions, each of half the length of the one before, and some noise. */
static void
fill_row(double noise)
{
    static float direction[RANK * DIM];
    fill_normal(direction, RANK * DIM, 1, 1, 0);
    fill_normal(row, ROWS * DIM, 2, noise, 0);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t r = 0; r < RANK; r++) {
            float much =
                ldexpf((float)mpivf_random_normal(3, MPIVF_FOR_NOISE, i * RANK + r), -(int)r / 4);
            for (size_t j = 0; j < DIM; j++)
                row[i * DIM + j] += much * direction[r * DIM + j];
        }
}

static void
find(struct mpivf_projection *axes, struct mpivf_pool *pool)
{
    mpivf_blas_init();
    mpivf_context_init(&ctx);
    *pool = mpivf_pool_taking(&ctx, "axes");
    mpivf_projection_lay_out(axes, pool, DIM);
    assert_ok(&ctx, mpivf_pool_status(pool));
    assert_ok(&ctx,
              mpivf_projection_find(&ctx, axes, MPIVF_L2, mpivf_raw_of(false, row), 1,
                                    mpivf_projection_rows(DIM, ROWS), mpivf_raw_of(false, centre)));
}

static void
assert_orthonormal(const struct mpivf_projection *axes)
{
    for (size_t i = 0; i < axes->axes; i++)
        for (size_t j = 0; j <= i; j++) {
            double product =
                mpivf_kernel()->dot(axes->axis + i * DIM, axes->axis + j * DIM, DIM) - (i == j);
            assert_true(fabs(product) < 1e-6);
        }
}

/* Of all squares, the share that is not along the axes. */
static double
rest_of(const struct mpivf_projection *axes)
{
    static float along[ROWS * DIM];
    double rest = 0, all = 0;
    mpivf_project(axes, row, ROWS, along);
    for (size_t i = 0; i < ROWS; i++) {
        double square = mpivf_square(row + i * DIM, DIM);
        all += square;
        rest += square - mpivf_square(along + i * axes->axes, axes->axes);
    }
    return rest / all;
}

static void
axes_hold_what_rows_have(void **state)
{
    (void)state;
    struct mpivf_projection axes, turned;
    struct mpivf_pool pool;
    fill_row(1e-3);
    find(&axes, &pool);
    assert_int_equal(axes.axes, RANK); /* the noise is nothing */
    assert_orthonormal(&axes);
    assert_true(rest_of(&axes) < 1e-5);
    assert_true(axes.slack > 0 && axes.slack < 1e-3 && axes.excess > 0 && axes.excess < 1e-3);
    /* the longest are first; turned they hold as much, and more evenly */
    turned.dim = DIM;
    turned.axis = room(axes.axes * DIM, sizeof *turned.axis);
    assert_ok(&ctx, mpivf_projection_turn(&ctx, &axes, 8, &turned));
    assert_int_equal(turned.axes, 8);
    assert_orthonormal(&turned);
    axes.axes = 8;
    double eight = rest_of(&axes);
    assert_true(eight > 1e-3 && eight < 0.1);
    assert_true(fabs(rest_of(&turned) - eight) < 1e-5);
    free(turned.axis);
    mpivf_pool_clear(&pool);
    assert_int_equal(ctx.memory.used, 0);
}

/* Rows that have fewer directions have fewer axes; equal ones, and zeros, have none. */
static void
rows_without_axes(void **state)
{
    (void)state;
    struct mpivf_projection axes;
    struct mpivf_pool pool;
    fill_row(0);
    find(&axes, &pool);
    assert_true(axes.axes >= 16 && axes.axes <= RANK);
    assert_orthonormal(&axes);
    mpivf_pool_clear(&pool);
    for (size_t i = 1; i < ROWS; i++)
        memcpy(row + i * DIM, row, DIM * sizeof *row);
    find(&axes, &pool);
    assert_int_equal(axes.axes, 0);
    mpivf_pool_clear(&pool);
    memset(row, 0, sizeof row);
    find(&axes, &pool);
    assert_int_equal(axes.axes, 0);
    mpivf_pool_clear(&pool);
}

static void
some_shapes_are_not_worth_it(void **state)
{
    (void)state;
    assert_int_equal(mpivf_projection_most(95), 0);
    assert_int_equal(mpivf_projection_most(96), 24);
    assert_int_equal(mpivf_projection_most(784), 128);
    assert_int_equal(mpivf_projection_most(100000), 0);
    assert_int_equal(mpivf_projection_rows(96, 31), 0);
    assert_int_equal(mpivf_projection_rows(96, 1000), 288);
    assert_true(mpivf_projection_rows(8192, 1000000) * 8192 * sizeof(float) <= 8 << 20);
    assert_int_equal(mpivf_projection_rows(95, 1000), 0);
}

/* The length of the rest is what a row lacks, and a little more. */
static void
the_rest_is_told(void **state)
{
    (void)state;
    struct mpivf_projection axes;
    struct mpivf_pool pool;
    float along[DIM], projected[DIM + MPIVF_PROJECT_REST];
    fill_row(0.3);
    find(&axes, &pool);
    for (size_t i = 0; i < ROWS; i++) {
        double square = mpivf_square(row + i * DIM, DIM);
        mpivf_project(&axes, row + i * DIM, 1, along);
        double norm = mpivf_project_row(&axes, along, square, projected);
        double all = mpivf_square(projected, axes.axes + MPIVF_PROJECT_REST);
        assert_memory_equal(projected, along, axes.axes * sizeof *along);
        assert_true(all >= square && all < square * (1 + 2 * axes.excess));
        assert_true(norm * norm >= all && norm * norm < all * (1 + 1e-9));
    }
    /* of what float32 cannot hold nothing is told; of zeros, zeros */
    assert_true(isnan(mpivf_project_row(&axes, along, 1e38, projected)));
    assert_true(isnan(mpivf_project_row(&axes, along, 1e-30, projected)));
    memset(along, 0, sizeof along);
    assert_true(mpivf_project_row(&axes, along, 0, projected) == 0);
    mpivf_pool_clear(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("project: axes hold what rows have", axes_hold_what_rows_have),
        TEST("project: rows without axes", rows_without_axes),
        TEST("project: some shapes are not worth it", some_shapes_are_not_worth_it),
        TEST("project: the rest is told", the_rest_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
