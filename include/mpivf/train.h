/*
 * train: from a sample of the rows to the coarse quantizer.
 *
 * The sample is the m rows with the smallest hashes of (seed, row number): unbiased whatever the
 * order of the file, and the same on any number of ranks. k-means runs over all ranks: rank 0
 * draws the first centroids, updates and broadcasts them; each rank assigns its part of the
 * sample exactly and sums in 64-bit fixed point, so every sum is the same in any order.
 */
#ifndef MPIVF_TRAIN_H
#define MPIVF_TRAIN_H

#include <mpivf/progress.h>
#include <mpivf/source.h>

enum mpivf_bad_rows { MPIVF_BAD_ROWS_FAIL, MPIVF_BAD_ROWS_SKIP };

struct mpivf_train_options {
    uint64_t lists;      /* 0 = 4 sqrt(rows), at least 1 */
    uint64_t sample;     /* rows; 0 = 256 a list */
    uint64_t seed;
    uint64_t iterations; /* at most */
    double tolerance;    /* stop when the objective gains less than this share */
    uint64_t max_list;   /* rows of a list at most, by what the sample tells; 0 = any */
    enum mpivf_metric metric;
    enum mpivf_bad_rows bad_rows;
};

/* What came of it. */
struct mpivf_trained {
    uint64_t lists, sample, repaired;
    uint64_t split; /* lists more than were asked for */
    uint64_t iterations, local; /* over all lists, among near ones */
    double objective, first_objective; /* mean distance to the centroid; first: of the first guess */
};

/* MPIVF_INPUT or MPIVF_USAGE when so many rows cannot be trained on like this. Local. */
mpivf_status
mpivf_train_check(struct mpivf_context *ctx, const struct mpivf_train_options *options,
                  uint64_t rows);

/*
 * Train and write an index without rows at `path`, whole or not at all. Memory: the rank's share
 * of the sample (4 dim bytes a row) and lists x dim x 16 bytes. MPIVF_INPUT when there are fewer
 * rows than lists, MPIVF_MEMORY when the sample does not fit. Collective.
 */
mpivf_status
mpivf_train_file_all(const struct mpivf_par *par, struct mpivf_source *source,
                     const struct mpivf_train_options *options, struct mpivf_report *report,
                     const char *path, struct mpivf_trained *trained);

#endif
