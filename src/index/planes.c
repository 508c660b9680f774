#include "index/planes.h"

#include <assert.h>
#include <string.h>

static_assert((int)MPIVF_PLANES >= (int)MPIVF_CODEC_PLANES + 2, "/id, the codec's, /vector");

static void
add(struct mpivf_planes *planes, const char *name, enum mpivf_type element, size_t columns)
{
    planes->plane[planes->count++] =
        (struct mpivf_plane){name, element, columns, columns * mpivf_type_size(element), 0};
}

void
mpivf_planes_of(const struct mpivf_index_meta *meta, const struct mpivf_index_layout *layout,
                struct mpivf_planes *planes)
{
    const struct mpivf_codec *codec = meta->codec;
    *planes = (struct mpivf_planes){.code = 1, .codes = codec->planes, .vector = -1};
    add(planes, "id", MPIVF_I64, 1);
    for (int p = 0; p < codec->planes; p++)
        add(planes, codec->plane[p].name, codec->plane[p].element,
            codec->plane[p].columns(meta->dim));
    if (meta->store) {
        planes->vector = planes->count;
        add(planes, "vector", MPIVF_F32, meta->dim);
    }
    for (int p = 0; p < planes->count && layout; p++)
        planes->plane[p].offset = layout->plane[p];
}

void
mpivf_planes_text(const struct mpivf_planes *planes, char text[MPIVF_PLANES_TEXT])
{
    text[0] = '\0';
    for (int p = 0; p < planes->count; p++) {
        assert(strlen(text) + 1 + strlen(planes->plane[p].name) < MPIVF_PLANES_TEXT);
        strcat(text, p ? "," : "");
        strcat(text, planes->plane[p].name);
    }
}

size_t
mpivf_planes_row_bytes(const struct mpivf_planes *planes)
{
    size_t bytes = 0;
    for (int p = 0; p < planes->count; p++)
        bytes += planes->plane[p].row_bytes;
    return bytes;
}
