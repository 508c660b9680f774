/*
 * train: from a sample of the rows to the coarse quantizer.
 *
 * The sample is the rows with the smallest hashes of (seed, row number): unbiased whatever the
 * order of the file, and the same on any number of ranks. k-means runs over all ranks: each brings
 * its part of the sample to the nearest centroids, exactly, and sums in 64-bit fixed point; rank 0
 * joins the sums, moves the centroids and broadcasts them. So every sum is the same in any order.
 * Many lists are trained on two levels first, and among near lists in between.
 */
#ifndef MPIVF_TRAIN_H
#define MPIVF_TRAIN_H

#include <mpivf/api.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>

MPIVF_API_BEGIN

struct mpivf_train_options {
    uint64_t lists;  /* 0 = 4 sqrt(rows), at least 1 */
    uint64_t sample; /* rows; 0 = 256 a list */
    uint64_t seed;
    uint64_t iterations; /* over all lists, at most */
    double tolerance;    /* stop when one, or those before the first, gain less of the objective */
    uint64_t max_list;   /* rows of a list at most, by what the sample tells; 0 = any */
    enum mpivf_metric metric;
    enum mpivf_bad_rows bad_rows;
    bool stamp; /* the model tells which rows it was trained on (mpivf/index.h) */
};

/* The defaults, those of the command line. Local. */
void
mpivf_train_options_init(struct mpivf_train_options *options);

/* What came of it. */
struct mpivf_train_summary {
    uint64_t lists, sample, repaired;
    uint64_t split;             /* lists more than were asked for */
    uint64_t iterations, local; /* over all lists, among near ones */
    double objective,
        first_objective; /* mean distance to the centroid; first: of the first guess */
    uint64_t rowsum;     /* checksum of the rows of the sample, as they were read */
    bool decoded;        /* the rows were float64, and the metric is l2 */
    double decode_error; /* what they lost as they became float32, from 0 to 1 (codec/loss.h) */
};

/* Lists, with the default filled in. Local. */
uint64_t
mpivf_train_lists(const struct mpivf_train_options *options, uint64_t rows);

/* MPIVF_INPUT or MPIVF_USAGE when so many rows cannot be trained on like this. Local. */
mpivf_status
mpivf_train_check(struct mpivf_context *ctx, const struct mpivf_train_options *options,
                  uint64_t rows);

/* The least that it needs on this rank, as far as that is known before a row is read. Local. */
size_t
mpivf_train_bytes(const struct mpivf_par *par, const struct mpivf_source *source,
                  const struct mpivf_train_options *options);

/*
 * Read the sample once more, without training: the checksum of its rows, as in mpivf_train_summary.
 * Collective, agreed.
 */
mpivf_status
mpivf_train_rowsum_all(const struct mpivf_par *par, struct mpivf_source *source,
                       const struct mpivf_train_options *options, struct mpivf_report *report,
                       uint64_t *rowsum);

/*
 * Train and write an index without rows, whole or not at all. Memory: about 21 bytes x
 * lists x dim on rank 0, 600 bytes a list, 12 bytes a row of the rank's sample, and the sample
 * itself (about 5 dim + 60 bytes a row) as far as the budget goes; a larger one goes to a file
 * without a name in the output's folder. MPIVF_INPUT when there are fewer rows than lists,
 * MPIVF_MEMORY, MPIVF_IO. Collective, agreed.
 */
mpivf_status
mpivf_train_file_all(const struct mpivf_par *par, struct mpivf_source *source,
                     struct mpivf_output *output, const struct mpivf_train_options *options,
                     struct mpivf_report *report, struct mpivf_train_summary *trained);

/* The same at `path`, in a folder of ours. Collective, agreed. */
mpivf_status
mpivf_train_path_all(const struct mpivf_par *par, struct mpivf_source *source, const char *path,
                     const struct mpivf_train_options *options, struct mpivf_report *report,
                     struct mpivf_train_summary *trained);

MPIVF_API_END

#endif
