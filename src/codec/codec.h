/*
 * codec: how a row is stored inside an inverted list.
 *
 * A codec turns float32 rows into codes of a fixed size and back. Distances of a search are
 * canonical distances to the decoded row; with f32 they are exact. To add one: a file with the
 * struct, a line in codec.c, a value in the enum (files store its name, not its number).
 */
#ifndef MPIVF_CODEC_CODEC_H
#define MPIVF_CODEC_CODEC_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

struct mpivf_codec {
    const char *name;
    enum mpivf_type element; /* of the dataset /code, [rows, dim] */
    bool exact;              /* decoding gives back the very row */

    /* n rows of dim float32 to n * mpivf_codec_bytes bytes, and back. */
    void (*encode)(const float *rows, size_t n, size_t dim, void *code);
    void (*decode)(const void *code, size_t n, size_t dim, float *rows);

    /* Can the row be stored? A row beyond the codec's range is a bad row. */
    bool (*fits)(const float *row, size_t dim);
};

const struct mpivf_codec *
mpivf_codec(enum mpivf_codec_kind kind);

/* The name by number; NULL behind the last. */
const char *
mpivf_codec_kind_name(int kind);

/* By the name in a file; NULL when unknown. */
const struct mpivf_codec *
mpivf_codec_find(const char *name);

/* Bytes of the code of one row. */
size_t
mpivf_codec_bytes(const struct mpivf_codec *codec, size_t dim);

#endif
