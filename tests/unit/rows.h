/* rows: kinds of data that are hard on float32 or on integers. */
#ifndef MPIVF_TESTS_ROWS_H
#define MPIVF_TESTS_ROWS_H

#include "testing.h"

#include <math.h>

struct data {
    const char *name;
    void (*fill)(float *x, size_t rows, size_t dim, uint64_t stream);
};

#define NORMAL_ROWS(name, scale, offset)                                                           \
    static inline void name(float *x, size_t rows, size_t dim, uint64_t stream)                    \
    {                                                                                              \
        fill_normal(x, (rows) * (dim), stream, scale, offset);                                     \
    }

NORMAL_ROWS(gaussian, 1, 0)
NORMAL_ROWS(common_offset, 1, 1e5)
NORMAL_ROWS(tiny_values, 1e-30, 0)
NORMAL_ROWS(small_values, 1e-20, 0)
NORMAL_ROWS(subnormal_values, 1e-44, 0)
NORMAL_ROWS(nearly_no_integers, 5e-19, 0) /* about where prepare gives up on integers */
NORMAL_ROWS(huge_values, 1e18, 0)
NORMAL_ROWS(larger_than_products, 1e30, 0)
NORMAL_ROWS(largest_floats, 9e37, 0)

/* Few columns have most of a row. */
static inline void
falling(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows * dim; i++)
        x[i] /= (float)(1 + i % dim);
}

/* Squares on both sides of what prepare holds for safe. */
static inline void
nearly_too_large(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, rows * dim, stream, 3.1e18 / sqrt((double)dim), 0);
}

/* Many rows are one of ten. */
static inline void
few_whole_numbers(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_whole(x, rows * dim, stream, 3);
    for (size_t i = 0; i < rows; i++) /* in many dimensions they would all differ */
        if (draw(stream + 1, i) % 4 > 0)
            memcpy(x + i * dim, x + draw(stream + 2, i) % 10 % rows * dim, dim * sizeof *x);
}

/* All rows are one of two. */
static inline void
doubled(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, 4); /* the same two for queries */
    (void)stream;
    for (size_t i = 2; i < rows; i++)
        memcpy(x + i * dim, x + draw(stream, i) % 2 * dim, dim * sizeof *x);
}

static inline void
scale_row(float *row, size_t dim, int power)
{
    for (size_t j = 0; j < dim; j++)
        row[j] = ldexpf(row[j], power);
}

static inline void
all_magnitudes(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows; i++)
        scale_row(x + i * dim, dim, (int)(draw(stream + 1, i) % 140) - 70);
}

static inline void
some_zero_rows(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows; i++)
        if (draw(stream + 1, i) % 3 == 0)
            memset(x + i * dim, 0, dim * sizeof *x);
}

static inline void
all_zero(float *x, size_t rows, size_t dim, uint64_t stream)
{
    (void)stream;
    memset(x, 0, rows * dim * sizeof *x);
}

static inline void
one_hot(float *x, size_t rows, size_t dim, uint64_t stream)
{
    memset(x, 0, rows * dim * sizeof *x);
    for (size_t i = 0; i < rows; i++)
        x[i * dim + draw(stream, i) % dim] = draw(stream + 1, i) % 2 ? 1.0f : -3.0f;
}

/* A few values are 2^30 times the others: integers see nothing but those. */
static inline void
heavy_tails(float *x, size_t rows, size_t dim, uint64_t stream)
{
    gaussian(x, rows, dim, stream);
    for (size_t i = 0; i < rows * dim; i++)
        x[i] = ldexpf(x[i], __builtin_ctzll(draw(stream + 1, i) | 1ull << 30));
}

/*
 * With the largest value 127 (32766 in odd rows) the others are half-way between two
 * integers, all to the same side: what rounding takes away (0.5) or adds (1.5) lies along
 * what is left, the worst case of Cauchy and Schwarz. To a large sum float32 adds the
 * small products in vain.
 */
static inline void
half_way(float *x, size_t rows, size_t dim, uint64_t stream)
{
    static const float values[] = {0.5f, 1.5f, 0.4375f, 0.5625f};
    for (size_t i = 0; i < rows; i++) {
        float *row = x + i * dim, sign = draw(stream, i) % 2 ? 1.0f : -1.0f;
        float value = values[draw(stream + 1, i) % 4];
        for (size_t j = 0; j < dim; j++)
            row[j] = sign * value;
        row[0] = i % 2 ? 32766.0f : 127.0f;
        if (draw(stream + 2, i) % 4 == 0)
            row[0] = 0.5f; /* nothing but the constant */
    }
}

/* Equal values: every addition in float32 may lose to the same side. */
static inline void
constant_rows(float *x, size_t rows, size_t dim, uint64_t stream)
{
    for (size_t i = 0; i < rows; i++) {
        float value = 1 + (float)(draw(stream, i) % 4096) * 0x1p-12f - 0x1p-23f;
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = i % 4 ? value : 1;
    }
}

/* Unit vectors that are nearly the same: their cosine distances are rounding errors. */
static inline void
nearly_parallel(float *x, size_t rows, size_t dim, uint64_t stream)
{
    fill_normal(x, dim, 5, 1, 0);
    for (size_t i = 1; i < rows; i++)
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = x[j] * (1 + 0x1p-22f * (float)(draw(stream + i, j) % 3));
    for (size_t i = 0; i < rows; i++)
        scale_row(x + i * dim, dim, (int)(draw(stream, i) % 3));
}

static const struct data kinds[] = {
    {"gaussian", gaussian},
    {"few whole numbers", few_whole_numbers},
    {"common offset", common_offset},
    {"1e-30", tiny_values},
    {"1e-44", subnormal_values},
    {"1e18", huge_values},
    {"1e30", larger_than_products},
    {"9e37", largest_floats},
    {"all magnitudes", all_magnitudes},
    {"zero rows", some_zero_rows},
    {"all zero", all_zero},
    {"one-hot", one_hot},
    {"heavy tails", heavy_tails},
    {"1e-20", small_values},
    {"nearly too small for integers", nearly_no_integers},
    {"nearly too large", nearly_too_large},
    {"half-way", half_way},
    {"constants", constant_rows},
    {"nearly parallel", nearly_parallel},
    {"doubled", doubled},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

#endif
