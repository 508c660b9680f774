/*
 * source: vectors in.
 *
 * A source is a matrix of rows in somebody's file, named FILE[:OBJECT]: an HDF5 dataset
 * (contiguous, chunked, compressed; f16 f32 f64 u8 i8, either byte order; behind links, in external
 * raw files, virtual) or an .npy file. Of several colons that may part FILE and OBJECT the last one
 * behind an existing file does. Whatever the type, rows come out as float32, or as float64 where
 * that is asked for. As float32 a float64 value becomes the nearest one, and one beyond float32
 * infinite.
 *
 * All ranks read the same: when a source is opened they compare the sizes and times of its files
 * and the fingerprints of its rows. Whoever has read it asks mpivf_source_unchanged_all before
 * anything made of it is given its name.
 *
 * Rows are dealt to ranks in blocks. A block is a run of rows, whole chunks long, whose size
 * depends on the file only, never on ranks or memory.
 *
 * Invariants of an open source: rows >= 1, dim >= 1, block_rows >= 1,
 * blocks = ceil(rows / block_rows).
 */
#ifndef MPIVF_SOURCE_H
#define MPIVF_SOURCE_H

#include <mpivf/api.h>
#include <mpivf/par.h>
#include <mpivf/range.h>
#include <mpivf/type.h>

MPIVF_API_BEGIN

/* How HDF5 datasets are read. */
enum mpivf_read_mode {
    MPIVF_READ_AUTO,        /* contiguous: by offset, next rows fetched ahead; else independent */
    MPIVF_READ_INDEPENDENT, /* each rank alone */
    MPIVF_READ_COLLECTIVE   /* H5Dread over MPI-IO, all ranks together; not compressed chunks */
};

/* "auto", "independent", "collective". Local. */
const char *
mpivf_read_mode_name(int mode);

/* How a source is read. All zero: automatically, and what was never written is the fill value. */
struct mpivf_reading {
    enum mpivf_read_mode mode;
    bool unwritten_is_bad; /* rows that were never written are NaN, not the fill value */
};

enum { MPIVF_OBJECT = 512 }; /* bytes of a dataset's path in its file, with its end */

struct mpivf_source_state; /* of the backend */
struct mpivf_inputs;
struct mpivf_source_ops;

struct mpivf_source {
    const struct mpivf_par *par; /* not owned */
    char object[MPIVF_OBJECT];   /* the dataset's path in its file; "" in a format without */
    uint64_t rows;
    uint64_t dim;
    enum mpivf_type type;
    bool swapped;        /* bytes in the other order than this machine's */
    uint64_t chunk_rows; /* reads should begin at its multiples; 0 = anywhere */
    uint64_t block_rows, blocks;
    bool collective;                     /* all ranks read together */
    const struct mpivf_range *unwritten; /* rows that are NaN whatever the file says; borrowed */
    size_t unwritten_ranges;
    uint64_t bytes_read;         /* so far, by this rank */
    uint64_t fingerprint;        /* a mark of the content, see mpivf_source_open_all */
    struct mpivf_inputs *inputs; /* owned: the files that it stands on */
    const struct mpivf_source_ops *ops;
    struct mpivf_source_state *state; /* owned */
};

/*
 * Open `name`; an HDF5 FILE without an OBJECT means its dataset `fallback`. Rank 0 looks at the
 * file and describes it, every rank opens it. MPIVF_INPUT for what cannot be read, with the
 * reason: 0 rows or 0 columns, a file that the dataset stands on and that is not there, a rank that
 * sees another file or other rows. MPIVF_MEMORY when its chunks do not fit. Rows never written are
 * told in a note. Close with mpivf_source_close_all, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_source_open_all(struct mpivf_source *source, const struct mpivf_par *par, const char *name,
                      const char *fallback, struct mpivf_reading reading);

/* The same for a column of integers, one id for each of `rows` rows. Collective, agreed. */
mpivf_status
mpivf_source_open_ids_all(struct mpivf_source *source, const struct mpivf_par *par,
                          const char *name, const char *fallback, struct mpivf_reading reading,
                          uint64_t rows);

/* A source that is not open is fine. Collective, agreed. */
void
mpivf_source_close_all(struct mpivf_source *source);

/* Bytes that one row takes in the buffer given to the read functions. Local. */
size_t
mpivf_source_row_bytes(const struct mpivf_source *source);

/*
 * Share number `part` (from 0) of `parts` even, contiguous runs of whole blocks. 0 rows is fine.
 * Local.
 */
struct mpivf_range
mpivf_source_share(const struct mpivf_source *source, int part, int parts);

/*
 * Read ranges of rows, ascending and apart, into `buffer` (sum of rows x
 * mpivf_source_row_bytes bytes) as float32 [rows, dim]; of rows that count as unwritten the first
 * value is NaN (mpivf_reading). Zero ranges are fine. Collective, own status; of a source that is
 * not read collectively it is local.
 */
mpivf_status
mpivf_source_read_each(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges,
                       float *buffer);

/*
 * The same, and lost[i] tells what row i lost: the square of the length of what float32 cannot hold
 * of a float64 row, 0 for other types (mpivf_decode_narrow). Collective, own status.
 */
mpivf_status
mpivf_source_read_measured_each(struct mpivf_source *source, const struct mpivf_range *range,
                                size_t ranges, float *buffer, double *lost);

/* The same as float64, exactly: 8 dim bytes a row. Collective, own status. */
mpivf_status
mpivf_source_read_f64_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, double *buffer);

/* The same for a source of one column of integers: ids. Collective, own status. */
mpivf_status
mpivf_source_read_ids_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, int64_t *buffer);

/*
 * The same as the elements lie in the file, in its byte order: dim x mpivf_type_size(type) bytes
 * a row. Collective, own status.
 */
mpivf_status
mpivf_source_read_raw_each(struct mpivf_source *source, const struct mpivf_range *range,
                           size_t ranges, void *buffer);

/*
 * Have the system fetch these rows while something else is done, where rows are read at offsets;
 * elsewhere nothing. They are to be read next. Local.
 */
void
mpivf_source_ahead(struct mpivf_source *source, const struct mpivf_range *range, size_t ranges);

/*
 * Of `count` rows, evenly spread over the source (number i is row i * rows / count), numbers
 * [first, first + n), on every rank; owned by the caller (mpivf_free). 1 <= count <= rows. For
 * queries. Collective, agreed.
 */
mpivf_status
mpivf_source_load_all(struct mpivf_source *source, uint64_t count, uint64_t first, uint64_t n,
                      float **rows);

/* The same as float64. Collective, agreed. */
mpivf_status
mpivf_source_load_f64_all(struct mpivf_source *source, uint64_t count, uint64_t first, uint64_t n,
                          double **rows);

/* Row number i of `count` that are evenly spread. */
static inline uint64_t
mpivf_source_spread(uint64_t rows, uint64_t count, uint64_t i)
{
    return (uint64_t)((__uint128_t)i * rows / count);
}

/*
 * Which rows something was made of: the version of the files, a hash of all their sizes and times,
 * and a checksum of those rows. The size of all files and the time of the latest are for people.
 */
struct mpivf_stamp {
    uint64_t version; /* 0 = no stamp, or rows of several versions */
    uint64_t bytes;
    int64_t modified; /* nanoseconds since 1970 */
    uint64_t rows;    /* source/rowsum.h */
};

/* The files of a source, and of `ids` unless it is NULL, as they were opened; no rows. Local. */
struct mpivf_stamp
mpivf_source_stamp(const struct mpivf_source *source, const struct mpivf_source *ids);

/* "1000 bytes modified 2026-02-03 14:03:07.250", or that there were several versions. Local. */
enum { MPIVF_STAMP_TEXT = 96 };
void
mpivf_stamp_text(const struct mpivf_stamp *stamp, char text[MPIVF_STAMP_TEXT]);

/*
 * MPIVF_INPUT when a file of the source was modified since it was opened. One that is not open is
 * fine. Collective, agreed.
 */
mpivf_status
mpivf_source_unchanged_all(const struct mpivf_source *source);

MPIVF_API_END

#endif
