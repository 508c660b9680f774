/* f32: the row itself. */
#include "codec/codec.h"
#include "math/distance.h"

#include <string.h>

static void
encode(const float *rows, size_t n, size_t dim, const float *centroid, void *const *plane)
{
    (void)centroid;
    memcpy(plane[0], rows, n * dim * sizeof *rows);
}

static void
decode(void *const *plane, size_t n, size_t dim, const float *centroid, float *rows)
{
    (void)centroid;
    memcpy(rows, plane[0], n * dim * sizeof *rows);
}

const struct mpivf_codec mpivf_codec_f32 = {
    .name = "f32",
    .exact = true,
    .planes = 1,
    .plane = {{"code", MPIVF_F32, mpivf_codec_components}},
    .encode = encode,
    .decode = decode,
    .fits = mpivf_finite,
};
