/*
 * skew: do the ranks' slabs look alike?
 *
 * Blocks are dealt at random, so that each rank's rows are a sample of the input. When the input is
 * sorted and its blocks are large (tall HDF5 chunks), a rank gets few kinds of rows. That shows in
 * how many rows of each list a rank has: the difference of rank r is
 *
 *   1/2 sum_l |n_rl / n_r - N_l / N|
 *
 * (total variation, the share of its rows that would have to change lists to look like the whole).
 * Rows in random order differ too, by chance, about
 *
 *   1/2 sum_l sqrt(2 p_l (1 - p_l) (1/n_r - 1/N) / pi),   p_l = N_l / N,
 *
 * the mean absolute deviation of a draw without replacement. No result depends on any of it.
 */
#ifndef MPIVF_BUILD_SKEW_H
#define MPIVF_BUILD_SKEW_H

#include <mpivf/par.h>

struct mpivf_skew {
    struct mpivf_context *ctx; /* not owned */
    size_t lists;
    int64_t *rows; /* owned, [lists] */
};

/* What was found, the same on every rank: the rank that differs most for its number of rows. */
struct mpivf_difference {
    int rank;
    double found, expected; /* shares; by chance, when rows are in random order */
    bool large;             /* far more than chance */
};

/*
 * Memory: 8 bytes a list, and as much again while comparing. Release with mpivf_skew_clear. Local.
 */
size_t
mpivf_skew_bytes(size_t lists);
mpivf_status
mpivf_skew_init(struct mpivf_context *ctx, struct mpivf_skew *skew, size_t lists);

void
mpivf_skew_clear(struct mpivf_skew *skew);

/* Count n rows; UINT32_MAX is no list. Local. */
void
mpivf_skew_count(struct mpivf_skew *skew, const uint32_t *list, size_t n);

/* Compare all ranks; one without rows differs in nothing. MPIVF_MEMORY. Collective, agreed. */
mpivf_status
mpivf_skew_compare_all(const struct mpivf_par *par, const struct mpivf_skew *skew,
                       struct mpivf_difference *difference);

#endif
