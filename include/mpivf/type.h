/* type: the element types of a source and the metrics, by name. */
#ifndef MPIVF_TYPE_H
#define MPIVF_TYPE_H

#include <mpivf/api.h>

#include <stddef.h>
#include <stdint.h>

MPIVF_API_BEGIN

/* What every command and every file of ours keeps to; rows x columns x 8 fit 63 bits beside. */
#define MPIVF_MAX_COLUMNS ((uint64_t)1 << 20)
#define MPIVF_MAX_LISTS ((uint64_t)1 << 20)
#define MPIVF_MAX_ROWS ((uint64_t)1 << 40)

enum mpivf_type {
    MPIVF_F16, /* IEEE 754 binary16 */
    MPIVF_F32,
    MPIVF_F64, /* as it is in a truth; elsewhere the nearest float32 */
    MPIVF_U8,
    MPIVF_I8,
    MPIVF_I32, /* ids only */
    MPIVF_U32,
    MPIVF_I64,
    MPIVF_U64,
    MPIVF_TYPES
};

/* Bytes of one element. Local. */
size_t
mpivf_type_size(enum mpivf_type type);

/* "f16", "f32"... Local. */
const char *
mpivf_type_name(enum mpivf_type type);

/*
 * What nearest means. Each distance is computed in float64, of float32 rows or of the float64 rows
 * of a truth; smaller is nearer:
 *   l2      sum (q - x)^2          (written to result files as its square root)
 *   ip      -<q, x>
 *   cosine  1 - <q, x> / (|q| |x|); 1 when either is the zero vector
 */
enum mpivf_metric { MPIVF_L2, MPIVF_IP, MPIVF_COSINE, MPIVF_METRICS };

/* "l2", "ip"...; NULL behind the last, as of all names by number. Local. */
const char *
mpivf_metric_name(int metric);

/* What is done about a row with a value that cannot be used: end the run, or leave the row out. */
enum mpivf_bad_rows { MPIVF_BAD_ROWS_FAIL, MPIVF_BAD_ROWS_SKIP };

/* "fail", "skip". Local. */
const char *
mpivf_bad_rows_name(int bad_rows);

/*
 * How rows are stored inside inverted lists: f32 as they are, f16 rounded to binary16, int8 as
 * integers and two factors (codec/int8.c).
 */
enum mpivf_codec_kind { MPIVF_CODEC_F32, MPIVF_CODEC_F16, MPIVF_CODEC_INT8, MPIVF_CODECS };
struct mpivf_codec;

/* The name in files: "f32", "f16", "int8". Local. */
const char *
mpivf_codec_name(const struct mpivf_codec *codec);

MPIVF_API_END

#endif
