#include "math/prepare.h"

#include "math/centre.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static const double U = 0x1p-24;

/*
 * Sums of products of longer vectors could leave float32 on the way, and an infinity of the
 * wrong sign would exclude a pair. Not-a-number in the comparison keeps it.
 */
static const double LARGEST = 1e37;

/* Rows without a larger value are no integers but all residual: their scale could underflow. */
static const float SMALLEST = 1e-18f;

static double
kappa(enum mpivf_filter filter, enum mpivf_metric metric, size_t dim)
{
    if (filter <= MPIVF_FILTER_INT16)
        return 96 * U;
    double du = (double)dim * U, gamma = du < 0.5 ? du / (1 - du) : INFINITY;
    return 1.02 * ((metric == MPIVF_L2 ? gamma / 2 : gamma) + 12 * U);
}

/* Allowance for products that float32 rounds to nothing. */
static double
tiny(size_t dim)
{
    return ((double)dim + 16) * 0x1p-126;
}

static float
round_up(double x)
{
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

static size_t
steps_of(enum mpivf_filter filter, size_t dim)
{
    size_t each = filter == MPIVF_FILTER_INT8 ? 4 : filter == MPIVF_FILTER_INT16 ? 2 : 1;
    return (dim + each - 1) / each;
}

size_t
mpivf_prepare_row_bytes(size_t dim)
{
    return dim * sizeof(float) + 4 * sizeof(double) + 4 * sizeof(float);
}

size_t
mpivf_prepare_query_bytes(enum mpivf_filter filter, size_t dim)
{
    return steps_of(filter, dim) * 4 + sizeof(struct mpivf_bounds);
}

size_t
mpivf_prepare_fixed_bytes(size_t dim, int threads)
{
    /* work rows of both, and the padding of the last panel */
    return (size_t)threads * (3 * dim * sizeof(float) + 128) +
           MPIVF_PANEL * mpivf_prepare_row_bytes(dim) + 1024;
}

mpivf_status
mpivf_queries_init(struct mpivf_context *ctx, struct mpivf_queries *queries,
                   enum mpivf_metric metric, enum mpivf_filter filter, size_t dim, size_t capacity)
{
    static const char what[] = "the prepared queries";
    *queries = (struct mpivf_queries){.metric = metric,
                                      .filter = filter,
                                      .dim = dim,
                                      .steps = steps_of(filter, dim),
                                      .capacity = capacity,
                                      .threads = ctx->threads};
    queries->word = mpivf_alloc(ctx, what, capacity * queries->steps, 4);
    queries->work = mpivf_alloc(ctx, what, (size_t)ctx->threads * dim, sizeof *queries->work);
    queries->bound = mpivf_alloc(ctx, what, capacity, sizeof *queries->bound);
    return queries->word && queries->work && queries->bound ? MPIVF_OK : MPIVF_MEMORY;
}

void
mpivf_queries_clear(struct mpivf_context *ctx, struct mpivf_queries *queries)
{
    mpivf_free(ctx, queries->word);
    mpivf_free(ctx, queries->work);
    mpivf_free(ctx, queries->bound);
    memset(queries, 0, sizeof *queries);
}

static size_t
whole_panels(size_t rows)
{
    return (rows + MPIVF_PANEL - 1) / MPIVF_PANEL;
}

/* Bytes of one thread's work row: floats, then words. */
static size_t
work_bytes(const struct mpivf_base *base)
{
    return (base->dim * sizeof(float) + base->steps * 4 + 127) / 64 * 64;
}

mpivf_status
mpivf_base_init(struct mpivf_context *ctx, struct mpivf_base *base, enum mpivf_metric metric,
                enum mpivf_filter filter, size_t dim, size_t capacity)
{
    static const char what[] = "the prepared rows";
    size_t padded = whole_panels(capacity) * MPIVF_PANEL;
    *base = (struct mpivf_base){.metric = metric,
                                .filter = filter,
                                .dim = dim,
                                .steps = steps_of(filter, dim),
                                .capacity = capacity,
                                .threads = ctx->threads};
    base->word = mpivf_alloc(ctx, what, padded * base->steps, 4);
    base->work = mpivf_alloc(ctx, what, (size_t)ctx->threads, work_bytes(base));
    base->term = mpivf_alloc(ctx, what, padded, sizeof *base->term);
    base->scale = mpivf_alloc(ctx, what, padded, sizeof *base->scale);
    base->norm = mpivf_alloc(ctx, what, padded, sizeof *base->norm);
    base->rest = mpivf_alloc(ctx, what, padded, sizeof *base->rest);
    return base->word && base->work && base->term && base->scale && base->norm && base->rest
               ? MPIVF_OK
               : MPIVF_MEMORY;
}

void
mpivf_base_clear(struct mpivf_context *ctx, struct mpivf_base *base)
{
    mpivf_free(ctx, base->word);
    mpivf_free(ctx, base->work);
    mpivf_free(ctx, base->term);
    mpivf_free(ctx, base->scale);
    mpivf_free(ctx, base->norm);
    mpivf_free(ctx, base->rest);
    memset(base, 0, sizeof *base);
}

/* A work row as integers: their scale, and how long what they leave out can be. */
struct integers {
    float scale;
    double rest;
};

static struct integers
round_row(enum mpivf_filter filter, const float *work, size_t dim, double norm, void *out)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    float largest = norm * norm <= LARGEST ? kernel->largest(work, dim) : 0;
    memset(out, 0, steps_of(filter, dim) * 4);
    if (!(largest > SMALLEST))
        return (struct integers){0, norm};
    double scale = (double)largest / 127;
    if (filter == MPIVF_FILTER_INT16) {
        double by_norm = norm / (46340 - sqrt((double)dim) / 2 - 2);
        scale = (double)largest / 32766 > by_norm ? (double)largest / 32766 : by_norm;
    }
    float rounded = (float)scale, inverse = (float)(1 / scale);
    float squares = filter == MPIVF_FILTER_INT8 ? kernel->round8(work, dim, inverse, out)
                                                : kernel->round16(work, dim, inverse, out);
    double rest = sqrt((double)squares * (1 + ((double)dim / 16 + 32) * 2 * U));
    return (struct integers){rounded, ((double)rounded * rest + 5 * U * norm) * (1 + 0x1p-40)};
}

static int32_t
sum_of(const int8_t *x, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/*
 * For ip and cosine: the part of the inner product that the centre has, and how far off it and what
 * float32 cannot hold can be.
 */
static void
bound_inner(struct mpivf_queries *queries, size_t i, const float *work, struct mpivf_raw centre,
            double norm)
{
    size_t dim = queries->dim;
    bool cosine = queries->metric == MPIVF_COSINE;
    struct mpivf_bounds *bound = &queries->bound[i];
    double reach = sqrt(mpivf_raw_square(centre, dim)), inner;
    if (centre.f64) {
        struct mpivf_raw raw = mpivf_raw_at(queries->raw, i * dim);
        double scale = mpivf_centre_scale(queries->metric, raw, dim);
        double small = sqrt((double)dim) * 0x1p-149;
        inner = scale * mpivf_kernel()->dot64(raw.f64, centre.f64, dim);
        bound->slope = round_up((double)bound->slope + small);
        bound->pad += small * norm;
        norm = scale * sqrt(mpivf_raw_square(raw, dim)) * (1 + 0x1p-40);
    } else {
        inner = mpivf_kernel()->dot(work, centre.f32, dim);
        bound->pad += cosine ? 4 * U : 0;
    }
    bound->shift = (cosine ? 1.0 : 0.0) - inner;
    bound->bend = 0;
    bound->pad += ((double)dim + 16) * 0x1p-51 * norm * (reach + 1);
}

/* Fill the numbers of query i from its work row. */
static void
bound_query(struct mpivf_queries *queries, size_t i, const float *work, struct mpivf_raw centre)
{
    size_t dim = queries->dim;
    bool l2 = queries->metric == MPIVF_L2;
    void *word = queries->word + i * queries->steps * 4;
    double k = kappa(queries->filter, queries->metric, dim), square = mpivf_square(work, dim);
    double norm = sqrt(square) * (1 + 0x1p-40);
    struct integers integers = {1, 0};
    queries->bound[i].start = 0;
    if (queries->filter <= MPIVF_FILTER_INT16)
        integers = round_row(queries->filter, work, dim, norm, word);
    else
        memcpy(word, work, dim * sizeof *work);
    if (queries->filter == MPIVF_FILTER_INT8) /* the other side is unsigned */
        queries->bound[i].start = -128 * sum_of(word, dim);
    queries->bound[i].scale = (l2 ? 2 : 1) * integers.scale;
    queries->bound[i].slope =
        square > LARGEST ? NAN : round_up((l2 ? 2 : 1) * (integers.rest + k * norm));
    queries->bound[i].rest = round_up((l2 ? 2 : 1) * (norm + integers.rest));
    queries->bound[i].pad = tiny(dim);
    queries->bound[i].square =
        queries->metric == MPIVF_COSINE
            ? mpivf_raw_square(mpivf_raw_at(queries->raw, i * dim), dim)
            : 0;
    queries->bound[i].shift = square * (1 - k);
    queries->bound[i].bend = k * square;
    if (!l2)
        bound_inner(queries, i, work, centre, norm);
}

void
mpivf_queries_fill_raw(struct mpivf_queries *queries, struct mpivf_raw raw, size_t rows,
                       struct mpivf_raw centre)
{
    static const struct mpivf_raw nowhere = {NULL, NULL};
    size_t dim = queries->dim;
    int threads = rows > 1024 ? queries->threads : 1;
    queries->raw = raw;
    queries->rows = rows;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t i = 0; i < rows; i++) {
        float *work = queries->work + (size_t)omp_get_thread_num() * dim;
        mpivf_centre_row(queries->metric, mpivf_raw_at(raw, i * dim), dim,
                 queries->metric == MPIVF_L2 ? centre : nowhere, work);
        bound_query(queries, i, work, centre);
    }
}

/* The first word of a row in its panel. */
static char *
word_at(const struct mpivf_base *base, size_t row)
{
    return base->word + 4 * (row / MPIVF_PANEL * MPIVF_PANEL * base->steps + row % MPIVF_PANEL);
}

/* Put a row of words where its panel has them. */
static void
place(struct mpivf_base *base, size_t row, const char *word, uint32_t flip)
{
    char *to = word_at(base, row);
    for (size_t s = 0; s < base->steps; s++) {
        uint32_t one;
        memcpy(&one, word + 4 * s, sizeof one);
        one ^= flip;
        memcpy(to + 4 * MPIVF_PANEL * s, &one, sizeof one);
    }
}

static void
fill_row(struct mpivf_base *base, size_t i, struct mpivf_raw centre, char *scratch)
{
    size_t dim = base->dim;
    bool panels = base->filter != MPIVF_FILTER_SGEMM;
    float *work = panels ? (float *)(void *)scratch : (float *)(void *)base->word + i * dim;
    char *word = scratch + dim * sizeof(float);
    double k = kappa(base->filter, base->metric, dim);
    mpivf_centre_row(base->metric, mpivf_raw_at(base->raw, i * dim), dim, centre, work);
    double square = mpivf_square(work, dim), norm = sqrt(square) * (1 + 0x1p-40);
    struct integers integers = {1, 0};
    if (base->filter <= MPIVF_FILTER_INT16) {
        integers = round_row(base->filter, work, dim, norm, word);
        place(base, i, word, base->filter == MPIVF_FILTER_INT8 ? 0x80808080u : 0);
    } else if (panels) {
        memcpy(word, work, dim * sizeof *work);
        place(base, i, word, 0);
    }
    base->scale[i] = integers.scale;
    base->rest[i] = round_up(integers.rest);
    base->norm[i] = round_up(norm);
    base->term[i] = !(square <= LARGEST)       ? NAN
                    : base->metric != MPIVF_L2 ? 0.0f
                                               : (float)(square * (1 - k));
}

/* Columns that no query can want. */
static void
fill_padding(struct mpivf_base *base, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char *at = word_at(base, i);
        for (size_t s = 0; s < base->steps && base->filter != MPIVF_FILTER_SGEMM; s++)
            memset(at + 4 * MPIVF_PANEL * s, 0, 4);
        base->term[i] = INFINITY;
        base->scale[i] = base->norm[i] = base->rest[i] = 0;
    }
}

void
mpivf_base_fill_raw(struct mpivf_base *base, struct mpivf_raw raw, size_t rows,
                    struct mpivf_raw centre, const int64_t *id, int64_t first)
{
    base->raw = raw;
    base->rows = rows;
    base->id = id;
    base->first = first;
    base->pick = NULL;
    long panels = (long)whole_panels(rows);
    int threads = panels > 64 ? base->threads : 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long p = 0; p < panels; p++) {
        char *scratch = base->work + (size_t)omp_get_thread_num() * work_bytes(base);
        size_t start = (size_t)p * MPIVF_PANEL, end = start + MPIVF_PANEL;
        for (size_t i = start; i < end && i < rows; i++)
            fill_row(base, i, centre, scratch);
        fill_padding(base, start < rows && rows < end ? rows : end, end);
    }
}

void
mpivf_base_pick(struct mpivf_base *base, const struct mpivf_base *from, const uint32_t *pick,
                size_t n)
{
    size_t steps = base->steps, stride = 4 * MPIVF_PANEL;
    base->raw = from->raw;
    base->rows = n;
    base->pick = pick;
    for (size_t i = 0; i < n; i++) {
        if (base->filter == MPIVF_FILTER_SGEMM) {
            memcpy(base->word + i * steps * 4, from->word + pick[i] * steps * 4, steps * 4);
        } else {
            char *to = word_at(base, i);
            const char *at = word_at(from, pick[i]);
            for (size_t s = 0; s < steps; s++)
                memcpy(to + s * stride, at + s * stride, 4);
        }
        base->term[i] = from->term[pick[i]];
        base->scale[i] = from->scale[pick[i]];
        base->norm[i] = from->norm[pick[i]];
        base->rest[i] = from->rest[pick[i]];
    }
    fill_padding(base, n, whole_panels(n) * MPIVF_PANEL);
}

float
mpivf_prepare_limit(const struct mpivf_queries *queries, size_t q, double limit)
{
    double shift = queries->bound[q].shift, value = limit - shift + queries->bound[q].pad;
    /* the subtraction's own rounding, and that to float */
    value += fabs(value) * (0x1p-40 + 0x1p-23) + (fabs(limit) + fabs(shift)) * 0x1p-50 + 0x1p-149;
    return value < 3e38 ? (float)value : FLT_MAX; /* padding stays above it; infinite, unknown: all */
}

void
mpivf_prepare_group(const struct mpivf_queries *queries, size_t q, double limit,
                    struct mpivf_group *group, size_t i)
{
    group->word[i] = queries->word + q * queries->steps * 4;
    group->start[i] = queries->bound[q].start;
    group->scale[i] = queries->bound[q].scale;
    group->slope[i] = queries->bound[q].slope;
    group->rest[i] = queries->bound[q].rest;
    group->limit[i] = mpivf_prepare_limit(queries, q, limit);
}

double
mpivf_prepare_upper(const struct mpivf_queries *queries, size_t q, const struct mpivf_base *base,
                    size_t row, float value)
{
    double norm = base->norm[row], k = kappa(base->filter, base->metric, base->dim);
    double error = (double)queries->bound[q].slope * norm + (double)queries->bound[q].rest * base->rest[row] +
                   queries->bound[q].bend + queries->bound[q].pad;
    if (base->metric == MPIVF_L2)
        error += k * norm * norm;
    double upper = mpivf_prepare_lower(queries, q, value) + 2.01 * error;
    return isfinite(upper) ? upper : INFINITY;
}
