/*
 * planes: what the rows of lists are made of, one dataset each: /id, the planes of the codec
 * (codec/codec.h), and /vector where the rows themselves are stored. All that moves rows goes
 * through them in this order.
 */
#ifndef MPIVF_INDEX_PLANES_H
#define MPIVF_INDEX_PLANES_H

#include "codec/codec.h"

#include <mpivf/index.h>

struct mpivf_plane {
    const char *name;
    enum mpivf_type element;
    size_t columns, row_bytes;
    uint64_t offset; /* in the file */
};

struct mpivf_planes {
    int count;
    int code, codes;                        /* the first of the codec, and how many */
    int vector;                             /* of the rows themselves; -1 = not stored */
    struct mpivf_plane plane[MPIVF_PLANES]; /* 0 is /id */
};

/* Those of a file; offsets as in `layout`, NULL = none yet. Local. */
void
mpivf_planes_of(const struct mpivf_index_meta *meta, const struct mpivf_index_layout *layout,
                struct mpivf_planes *planes);

/* Their names with commas between, as the attribute `planes` has them. Local. */
enum { MPIVF_PLANES_TEXT = 64 };
void
mpivf_planes_text(const struct mpivf_planes *planes, char text[MPIVF_PLANES_TEXT]);

/* Bytes of a row in all of them. Local. */
size_t
mpivf_planes_row_bytes(const struct mpivf_planes *planes);

/* Where row `row` is in arrays of rows, one for each plane: at[p] in data[p]. */
static inline void
mpivf_planes_at(const struct mpivf_planes *planes, void *const *data, size_t row, void **at)
{
    for (int p = 0; p < planes->count; p++)
        at[p] = (char *)data[p] + row * planes->plane[p].row_bytes;
}

#endif
