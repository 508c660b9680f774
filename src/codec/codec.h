/*
 * codec: how a row is stored inside an inverted list.
 *
 * A codec turns float32 rows into codes of a fixed size and back. A code may be in several planes,
 * each a dataset of the index file with the same number of values for every row: bytes of different
 * types lie apart, and a scan reads the planes that it needs. Distances of a search are canonical
 * distances to the decoded row; with f32 they are exact. To add one: a file with the struct, a line
 * in codec.c, a value in enum mpivf_codec_kind (files store its name, not its number).
 */
#ifndef MPIVF_CODEC_CODEC_H
#define MPIVF_CODEC_CODEC_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

enum { MPIVF_CODEC_PLANES = 4 }; /* at most */

struct mpivf_codec_plane {
    const char *name; /* of the dataset: as h5py users will read it */
    enum mpivf_type element;
    size_t (*columns)(size_t dim); /* values of a row */
};

struct mpivf_codec {
    const char *name;
    bool exact; /* decoding gives back the very row */
    int planes;
    struct mpivf_codec_plane plane[MPIVF_CODEC_PLANES];

    /*
     * n rows of dim float32, all of one list, into plane[p], [n, columns] for each of its planes,
     * and back. `centroid`, [dim], is that of the list: what training gives a codec, and what every
     * reader of an index has.
     */
    void (*encode)(const float *rows, size_t n, size_t dim, const float *centroid,
                   void *const *plane);
    void (*decode)(void *const *plane, size_t n, size_t dim, const float *centroid, float *rows);

    /* Can the row be stored? A row beyond the codec's range is a bad row. */
    bool (*fits)(const float *row, size_t dim);
};

/* One for each kind; a file each. */
extern const struct mpivf_codec mpivf_codec_f32, mpivf_codec_f16, mpivf_codec_int8;

/* By its kind. Local. */
const struct mpivf_codec *
mpivf_codec(enum mpivf_codec_kind kind);

/* The name by number; NULL behind the last. Local. */
const char *
mpivf_codec_kind_name(int kind);

/* By the name in a file; NULL when unknown. Local. */
const struct mpivf_codec *
mpivf_codec_find(const char *name);

/* Bytes of the code of one row, in all planes. Local. */
size_t
mpivf_codec_bytes(const struct mpivf_codec *codec, size_t dim);

/* For planes with a value for each component: dim. Local. */
size_t
mpivf_codec_components(size_t dim);

#endif
