#include "codec/codec.h"

#include "math/distance.h"
#include "source/decode.h"

#include <string.h>

static void
f32_encode(const float *rows, size_t n, size_t dim, void *code)
{
    memcpy(code, rows, n * dim * sizeof *rows);
}

static void
f32_decode(const void *code, size_t n, size_t dim, float *rows)
{
    memcpy(rows, code, n * dim * sizeof *rows);
}

static void
f16_encode(const float *rows, size_t n, size_t dim, void *code)
{
    uint16_t *half = code;
    for (size_t i = 0; i < n * dim; i++)
        half[i] = mpivf_half_from_float(rows[i]);
}

static void
f16_decode(const void *code, size_t n, size_t dim, float *rows)
{
    mpivf_decode_f32(MPIVF_F16, false, code, n * dim, rows);
}

static bool
f16_fits(const float *row, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        if (!(row[i] > -65520.0f && row[i] < 65520.0f)) /* rounds to infinity from there */
            return false;
    return true;
}

static const struct mpivf_codec codecs[MPIVF_CODECS] = {
    [MPIVF_CODEC_F32] = {"f32", MPIVF_F32, true, f32_encode, f32_decode, mpivf_finite},
    [MPIVF_CODEC_F16] = {"f16", MPIVF_F16, false, f16_encode, f16_decode, f16_fits},
};

const struct mpivf_codec *
mpivf_codec(enum mpivf_codec_kind kind)
{
    return &codecs[kind];
}

const char *
mpivf_codec_kind_name(int kind)
{
    return kind < MPIVF_CODECS ? codecs[kind].name : NULL;
}

const struct mpivf_codec *
mpivf_codec_find(const char *name)
{
    for (int i = 0; i < MPIVF_CODECS; i++)
        if (strcmp(codecs[i].name, name) == 0)
            return &codecs[i];
    return NULL;
}

const char *
mpivf_codec_name(const struct mpivf_codec *codec)
{
    return codec->name;
}

size_t
mpivf_codec_bytes(const struct mpivf_codec *codec, size_t dim)
{
    return dim * mpivf_type_size(codec->element);
}
