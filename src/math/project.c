#include "math/project.h"

#include "base/rng.h"
#include "math/blas.h"
#include "math/centre.h"
#include "math/kernel.h"
#include "math/single.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    LEAST_DIM = 96, /* for fewer the whole is as cheap */
    MOST_DIM = 8192,
    MOST_AXES = 128,
    BLOCK = 256,          /* values that sgemm adds up at a time */
    TIMES = 3,            /* iterations */
    EACH = 4,             /* rows for an axis, at least */
    ENOUGH = 12,          /* of them */
    ROWS_BYTES = 8 << 20, /* of rows to find axes by */
    SEED = 1
};

static const double U = 0x1p-24;
static const double ROUNDED = 1 + 0x1p-40; /* of float64 sums */

static const double SMALLEST = 0x1p-60; /* |x|^2 whose float32 products do not vanish */

size_t
mpivf_projection_most(size_t dim)
{
    size_t most = dim / 4 / 8 * 8;
    if (dim < LEAST_DIM || dim > MOST_DIM)
        return 0;
    return most < MOST_AXES ? most : MOST_AXES;
}

/* Can it be told what a row of this square is along the axes? */
static bool
is_told(double square)
{
    return square >= SMALLEST && square <= MPIVF_SINGLE_LARGEST;
}

void
mpivf_projection_lay_out(struct mpivf_projection *projection, struct mpivf_pool *pool, size_t dim)
{
    *projection = (struct mpivf_projection){.dim = dim};
    projection->axis =
        mpivf_pool_take(pool, mpivf_projection_most(dim) * dim, sizeof *projection->axis);
}

/* ---- finding the axes ---- */

struct finding {
    size_t dim, axes, rows;
    float *work;  /* owned, [rows, dim] */
    float *along; /* owned, [axes, rows] */
};

static void
lay_out(struct finding *f, struct mpivf_pool *pool, size_t dim, size_t rows)
{
    size_t most = mpivf_projection_most(dim), some = rows / EACH;
    *f = (struct finding){.dim = dim, .axes = some < most ? some : most, .rows = rows};
    f->work = mpivf_pool_take(pool, rows * dim, sizeof *f->work);
    f->along = mpivf_pool_take(pool, rows * f->axes, sizeof *f->along);
}

size_t
mpivf_projection_rows(size_t dim, size_t rows)
{
    size_t axes = mpivf_projection_most(dim), most = ROWS_BYTES / (dim * sizeof(float));
    most = most < axes * ENOUGH ? most : axes * ENOUGH;
    rows = rows < most ? rows : most;
    return rows >= 8 * EACH ? rows : 0;
}

size_t
mpivf_projection_find_bytes(size_t dim)
{
    struct finding f;
    struct mpivf_pool pool = mpivf_pool_counting();
    lay_out(&f, &pool, dim, mpivf_projection_rows(dim, SIZE_MAX));
    size_t turn = f.axes * f.axes * sizeof *f.along; /* later */
    return pool.bytes > turn ? pool.bytes : turn;
}

/* Take from x what it has of the n unit vectors before. */
static void
take_away(const float *unit, size_t n, float *x, size_t dim)
{
    for (size_t j = 0; j < n; j++) {
        const float *other = unit + j * dim;
        float part = (float)mpivf_kernel()->dot(x, other, dim);
        for (size_t i = 0; i < dim; i++)
            x[i] -= part * other[i];
    }
}

/* Gram and Schmidt, modified, each so many times; as many of n as are independent. */
static size_t
orthonormalise(float *axis, size_t n, size_t dim, int passes)
{
    static const double LOST = 1e-6; /* of the square: the rest is rounding */
    for (size_t j = 0; j < n; j++) {
        float *x = axis + j * dim;
        double before = mpivf_square(x, dim), after = 0;
        for (int pass = 0; pass < passes; pass++) {
            take_away(axis, j, x, dim);
            after = mpivf_square(x, dim);
            float inverse = (float)(1 / sqrt(after));
            if (pass == 0 && !(after > before * LOST && isfinite(inverse)))
                return j;
            for (size_t i = 0; i < dim; i++)
                x[i] *= inverse;
        }
    }
    return n;
}

/* How far the axes are from being orthonormal: the Frobenius norm of P P' - I, at most. */
static double
off_by(const float *axis, size_t axes, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < axes; i++)
        for (size_t j = 0; j <= i; j++) {
            double off = mpivf_kernel()->dot(axis + i * dim, axis + j * dim, dim) - (i == j);
            sum += (i == j ? 1 : 2) * off * off;
        }
    return sqrt(sum) * ROUNDED + (double)axes * (double)dim * 0x1p-50;
}

/* What rounding costs with so many axes. */
static void
bound(struct mpivf_projection *p, double off)
{
    double c = BLOCK + (double)(p->dim / BLOCK) + 1;
    double gamma = c * U / (1 - c * U), g = gamma * sqrt((double)p->axes) * (1 + off);
    double longer = (1 + off + g) * (1 + off + g) * ROUNDED;
    p->slack = (3 * off + 2 * g) * longer;
    p->excess = (2 * g + off) * longer + 0x1p-40;
}

static void
find(struct finding *f, struct mpivf_projection *p)
{
    size_t axes = f->axes;
    /* random sums of the rows */
    for (size_t i = 0; i < f->rows * axes; i++)
        f->along[i] = mpivf_random_way(SEED, MPIVF_FOR_AXES, i);
    for (int t = 0; t < TIMES; t++) {
        /* sums of rows, each with what it is along an axis: the longer axes grow most */
        if (t > 0)
            mpivf_blas_products(p->axis, axes, f->work, f->rows, f->dim, f->along, f->rows);
        axes = orthonormalise(f->along, axes, f->rows, 1);
        mpivf_blas_sums(f->along, axes, f->work, f->rows, f->dim, p->axis);
        axes = orthonormalise(p->axis, axes, f->dim, t < TIMES - 1 ? 1 : 2);
    }
    p->axes = axes / 8 * 8;
    bound(p, off_by(p->axis, p->axes, p->dim));
}

mpivf_status
mpivf_projection_find(struct mpivf_context *ctx, struct mpivf_projection *projection,
                      enum mpivf_metric metric, struct mpivf_raw row, size_t step, size_t rows,
                      struct mpivf_raw centre)
{
    struct finding f;
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the axes of a sample");
    size_t dim = projection->dim;
    lay_out(&f, &pool, dim, rows);
    if (!pool.failed && f.axes > 0) {
        for (size_t i = 0; i < rows; i++) {
            float *work = f.work + i * dim;
            mpivf_centre_row(metric, mpivf_raw_at(row, i * step * dim), dim, centre, work);
            double square = mpivf_square(work, dim);
            if (!is_told(square))
                memset(work, 0, dim * sizeof *work);
        }
        find(&f, projection);
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}

mpivf_status
mpivf_projection_turn(struct mpivf_context *ctx, const struct mpivf_projection *projection,
                      size_t axes, struct mpivf_projection *turned)
{
    struct mpivf_pool pool = mpivf_pool_taking(ctx, "the axes of a sample");
    float *turn = mpivf_pool_take(&pool, axes * axes, sizeof *turn);
    if (turn) {
        for (size_t i = 0; i < axes * axes; i++)
            turn[i] = mpivf_random_way(SEED, MPIVF_FOR_AXES, i);
        turned->axes = orthonormalise(turn, axes, axes, 2) / 8 * 8;
        mpivf_blas_sums(turn, axes, projection->axis, axes, projection->dim, turned->axis);
        bound(turned, off_by(turned->axis, turned->axes, turned->dim));
    }
    mpivf_status status = mpivf_pool_status(&pool);
    mpivf_pool_clear(&pool);
    return status;
}

void
mpivf_projection_copy(const struct mpivf_projection *from, struct mpivf_projection *to)
{
    float *axis = to->axis;
    memcpy(axis, from->axis, from->axes * from->dim * sizeof *axis);
    *to = *from;
    to->axis = axis;
}

/* ---- using them ---- */

void
mpivf_project(const struct mpivf_projection *projection, const float *work, size_t n, float *along)
{
    size_t dim = projection->dim;
    for (size_t from = 0; from < dim; from += BLOCK)
        mpivf_blas_products_part(work + from, n, projection->axis + from, projection->axes, dim,
                                 dim - from < BLOCK ? dim - from : BLOCK, from > 0, along,
                                 projection->axes);
}

double
mpivf_project_row(const struct mpivf_projection *projection, const float *along, double square,
                  float *projected)
{
    size_t axes = projection->axes;
    memcpy(projected, along, axes * sizeof *along);
    bool told = square == 0 || is_told(square);
    double rest = square * (1 + projection->excess) - mpivf_square(along, axes);
    double length = rest > 0 ? sqrt(rest / MPIVF_PROJECT_REST) * ROUNDED : 0;
    for (size_t i = 0; i < MPIVF_PROJECT_REST; i++)
        projected[axes + i] = told ? mpivf_single_up(length) : 0;
    if (!told)
        return NAN;
    double mine = sqrt(mpivf_square(projected, axes + MPIVF_PROJECT_REST)), whole = sqrt(square);
    return (mine > whole ? mine : whole) * ROUNDED;
}
