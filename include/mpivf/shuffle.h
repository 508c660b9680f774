/*
 * shuffle: a dataset in seeded random order, out of core, by all ranks.
 *
 * The output is an HDF5 file with the rows, bit for bit and in the input's element type (little
 * endian), under the input's own name ('train' when it has none or is called id), and /id, the
 * row number that each had. Row i goes to place mpivf_random_place(seed, MPIVF_FOR_SHUFFLE, rows,
 * i): the file has the same bytes at any number of ranks, with any memory and any way of reading.
 * `build OUT.h5 INDEX --ids OUT.h5:id` then gives the neighbours that the input would.
 *
 * Two passes, and no other file: rows are scattered into buckets, runs of places, where they will
 * stay; then each bucket is put in order in memory. Every byte is read twice and written twice.
 *
 * Memory: a rank's buffers stay in the budget, whatever the input's size: 8 MiB to read, 1 MiB
 * for each bucket, and later a bucket of 64 MiB of rows with 12 bytes more for each. With less,
 * buffers shrink to 64 KiB (or a row) and buckets grow: M bytes do for about M * M / 96 KiB bytes
 * of rows, 10 GiB with 32 MiB, 10 TiB with 1 GiB. Where that is not enough the call fails at
 * once, telling what is.
 */
#ifndef MPIVF_SHUFFLE_H
#define MPIVF_SHUFFLE_H

#include <mpivf/api.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>

MPIVF_API_BEGIN

struct mpivf_shuffle_options {
    uint64_t seed;
    struct mpivf_reading reading;
};

/* The defaults, those of the command line. Local. */
void
mpivf_shuffle_options_init(struct mpivf_shuffle_options *options);

/* What was made. */
struct mpivf_shuffle_summary {
    char name[MPIVF_OBJECT]; /* of the dataset */
    uint64_t rows, dim, buckets;
    enum mpivf_type type;
};

/*
 * Shuffle `input`, FILE[:OBJECT], into a declared output. Rows are copied as they are, NaN and
 * infinity too. Beside what opening a source may fail with: MPIVF_INPUT when it is modified
 * meanwhile, MPIVF_IO without the room on disk, MPIVF_MEMORY. A killed run leaves its partial file,
 * as large as the output. Collective, agreed.
 */
mpivf_status
mpivf_shuffle_all(const struct mpivf_par *par, const char *input, struct mpivf_output *output,
                  const struct mpivf_shuffle_options *options, struct mpivf_report *report,
                  struct mpivf_shuffle_summary *summary);

MPIVF_API_END

#endif
