/* f16: each component rounded to the nearest float16 (IEEE 754 binary16), ties to even. */
#include "codec/codec.h"
#include "source/decode.h"

static void
encode(const float *rows, size_t n, size_t dim, const float *centroid, void *const *plane)
{
    (void)centroid;
    uint16_t *half = plane[0];
    for (size_t i = 0; i < n * dim; i++)
        half[i] = mpivf_half_from_float(rows[i]);
}

static void
decode(void *const *plane, size_t n, size_t dim, const float *centroid, float *rows)
{
    (void)centroid;
    mpivf_decode_f32(MPIVF_F16, false, plane[0], n * dim, rows);
}

static bool
fits(const float *row, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        if (!(row[i] > -65520.0f && row[i] < 65520.0f)) /* rounds to infinity from there */
            return false;
    return true;
}

const struct mpivf_codec mpivf_codec_f16 = {
    .name = "f16",
    .planes = 1,
    .plane = {{"code", MPIVF_F16, mpivf_codec_components}},
    .encode = encode,
    .decode = decode,
    .fits = fits,
};
