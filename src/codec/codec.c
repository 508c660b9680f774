#include "codec/codec.h"

#include <string.h>

static const struct mpivf_codec *const codecs[MPIVF_CODECS] = {
    [MPIVF_CODEC_F32] = &mpivf_codec_f32,
    [MPIVF_CODEC_F16] = &mpivf_codec_f16,
    [MPIVF_CODEC_INT8] = &mpivf_codec_int8,
};

const struct mpivf_codec *
mpivf_codec(enum mpivf_codec_kind kind)
{
    return codecs[kind];
}

const char *
mpivf_codec_kind_name(int kind)
{
    return kind < MPIVF_CODECS ? codecs[kind]->name : NULL;
}

const struct mpivf_codec *
mpivf_codec_find(const char *name)
{
    for (int i = 0; i < MPIVF_CODECS; i++)
        if (strcmp(codecs[i]->name, name) == 0)
            return codecs[i];
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
    size_t bytes = 0;
    for (int p = 0; p < codec->planes; p++)
        bytes += codec->plane[p].columns(dim) * mpivf_type_size(codec->plane[p].element);
    return bytes;
}

size_t
mpivf_codec_components(size_t dim)
{
    return dim;
}
