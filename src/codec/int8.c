/*
 * int8: what a row has beside its list's centroid, in 8 bits a component.
 *
 *     row ~ factor[0] centroid + factor[1] code
 *
 * factor[0] is that of the projection of the row onto the centroid, so that the same formula serves
 * rows of any length (for ip and cosine a centroid has length 1); the largest component of what is
 * left becomes 127 or -127. Each component is off by half of factor[1] at most, and by what float32
 * rounds. Where nothing that is left reaches SMALLEST, all of it is dropped.
 */
#include "codec/codec.h"
#include "math/distance.h"
#include "math/kernel.h"

#include <math.h>

/* Of the components of a row, so that no product or sum below overflows. */
static const float LARGEST = 0x1p100f;

/* Of what is left; divided by 127 a smaller one could become subnormal. */
static const float SMALLEST = 0x1p-100f;

static size_t
factors(size_t dim)
{
    (void)dim;
    return 2;
}

/* The factor of the projection of a row onto the centroid; 0 where that is (next to) nothing. */
static float
project(const float *row, const float *centroid, double square, size_t dim)
{
    double factor = -mpivf_distance(MPIVF_IP, row, 0, centroid, dim) / square;
    return fabs(factor) < (double)LARGEST ? (float)factor : 0;
}

/* n components of what is left of a row. */
static void
subtract(const float *row, const float *centroid, float factor, size_t n, float *rest)
{
    for (size_t i = 0; i < n; i++)
        rest[i] = row[i] - factor * centroid[i];
}

static void
encode_row(const float *row, size_t dim, const float *centroid, double square, int8_t *code,
           float *factor)
{
    enum { PIECE = 1024 };
    const struct mpivf_kernel *kernel = mpivf_kernel();
    float rest[PIECE], largest = 0;
    factor[0] = project(row, centroid, square, dim);
    /* in pieces, twice: once for the scale, once for the integers */
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t n = dim - at < PIECE ? dim - at : PIECE;
        subtract(row + at, centroid + at, factor[0], n, rest);
        float one = kernel->largest(rest, n);
        largest = one > largest ? one : largest;
    }
    bool any = largest >= SMALLEST;
    factor[1] = any ? largest / 127 : 0;
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t n = dim - at < PIECE ? dim - at : PIECE;
        if (dim > PIECE) /* else it is still there */
            subtract(row + at, centroid + at, factor[0], n, rest);
        (void)kernel->round8(rest, n, any ? 127 / largest : 0, code + at);
    }
}

static void
encode(const float *rows, size_t n, size_t dim, const float *centroid, void *const *plane)
{
    int8_t *code = plane[0];
    float *factor = plane[1];
    double square = mpivf_square(centroid, dim);
    for (size_t i = 0; i < n; i++)
        encode_row(rows + i * dim, dim, centroid, square, code + i * dim, factor + 2 * i);
}

static void
decode(void *const *plane, size_t n, size_t dim, const float *centroid, float *rows)
{
    const int8_t *code = plane[0];
    const float *factor = plane[1];
    for (size_t i = 0; i < n; i++, code += dim, factor += 2, rows += dim)
        for (size_t j = 0; j < dim; j++)
            rows[j] = factor[0] * centroid[j] + factor[1] * (float)code[j];
}

static bool
fits(const float *row, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        if (!(fabsf(row[i]) <= LARGEST))
            return false;
    return true;
}

const struct mpivf_codec mpivf_codec_int8 = {
    .name = "int8",
    .planes = 2,
    .plane = {{"code", MPIVF_I8, mpivf_codec_components}, {"factor", MPIVF_F32, factors}},
    .encode = encode,
    .decode = decode,
    .fits = fits,
};
