/*
 * lloyd: one iteration of k-means over a sample that is spread over the ranks.
 *
 * Every rank brings its rows to their nearest centroids, exactly, and sums them by list as 64-bit
 * multiples of 1 / scale; rank 0 adds up the ranks' sums, moves the centroids and broadcasts them.
 * Sums of integers are the same in any order, so centroids are the same on any number of ranks and
 * threads and with any memory.
 *
 * Centroids may go farther than to the mean of their rows, `relaxation` times the way: the
 * objective of the rows where they are falls as long as that is between 0 and 2, and at 1.5
 * training needs fewer iterations and ends lower (Lee, Baek, Sung: A modified K-means algorithm for
 * vector quantizer design, IEEE Signal Processing Letters 4, 1997).
 *
 * Memory: 8 (dim + 4) bytes a list, twice that on rank 0.
 */
#ifndef MPIVF_BUILD_LLOYD_H
#define MPIVF_BUILD_LLOYD_H

#include "build/sample.h"
#include "index/coarse.h"

#include <mpivf/progress.h>

struct mpivf_lloyd {
    const struct mpivf_par *par;     /* not owned */
    struct mpivf_sample *sample;     /* not owned */
    struct mpivf_coarse *coarse;     /* not owned; prepared around the sample's centre */
    struct mpivf_progress *progress; /* not owned */
    enum mpivf_sample_level level;   /* rows up to here take part */
    bool spherical;                  /* centroids have unit length */
    double relaxation;               /* 1: to the mean; at most 1.5 */
    double scale, coarse_scale, fine_scale;
    uint64_t *start; /* owned, [lists + 1]: of groups in the sample's order */
    int64_t *sum;    /* owned: changes of `whole` in this iteration, this rank's */
    int64_t *whole;  /* owned, rank 0: [lists, dim] sums, [lists] counts, [2, lists] squares */
    float *origin;   /* owned, [dim] */
    struct mpivf_pool pool; /* of start */
    struct mpivf_pool sums; /* of sum, whole and origin */
    int summed;             /* levels whose rows are in the sums; `level` only grows */
    bool still;             /* set by the caller: assign and sum, but move no centroid */
};

/* Let go of the sums. The next iteration takes all rows for new. Local. */
void
mpivf_lloyd_forget(struct mpivf_lloyd *lloyd);

/* Make room again after mpivf_lloyd_clear, when the number of lists has changed. Local. */
mpivf_status
mpivf_lloyd_room(struct mpivf_lloyd *lloyd);

/* On rank 0: the rows that each list had in the last iteration, [lists]. Local. */
const int64_t *
mpivf_lloyd_counts(const struct mpivf_lloyd *lloyd);

/* Sums of squares lose so much of what they are taken from. */
static const double MPIVF_LLOYD_ROUNDING = 1e-12;

/*
 * On rank 0, of the rows of list l: the sum of their squared distances to the origin; and how many
 * of unit vectors have no direction and are zeros, as their squares tell. Local.
 */
double
mpivf_lloyd_square(const struct mpivf_lloyd *lloyd, size_t l);
double
mpivf_lloyd_zeros(const struct mpivf_lloyd *lloyd, size_t l);

/* What rank 0 tells after an iteration. */
struct mpivf_lloyd_step {
    double objective;  /* mean distance of a row to its centroid, before that moved */
    uint64_t rows;     /* that took part, of all ranks */
    uint64_t empty;    /* lists that no row was in */
    uint64_t repaired; /* of them */
};

/*
 * Fill what is owned; the caller has set the rest. Release with mpivf_lloyd_clear, also after
 * failure. Collective, agreed.
 */
mpivf_status
mpivf_lloyd_init_all(struct mpivf_lloyd *lloyd);

/* Bytes of it from the beginning, and those of the sums, from the first iteration on. Local. */
size_t
mpivf_lloyd_bytes(size_t lists);
size_t
mpivf_lloyd_sums_bytes(size_t lists, size_t dim, bool root);

void
mpivf_lloyd_clear(struct mpivf_lloyd *lloyd);

/*
 * Assign every row to the nearest of all lists and move the centroids. Lists that no row is in are
 * repaired as long as rows differ: each gets half of the one with the most rows, where rows that
 * differ little count little, and equal ones next to nothing; ties to the smaller number. `work` is
 * what it counts for each row in the progress. Collective, agreed.
 */
mpivf_status
mpivf_lloyd_all(struct mpivf_lloyd *lloyd, double work, struct mpivf_lloyd_step *step);

/*
 * The same, but a row is compared only with the candidates of its group, group_of[its list]
 * (NULL: the list is the group). Every row has a list. Nothing is repaired. Collective, agreed.
 */
mpivf_status
mpivf_lloyd_among_all(struct mpivf_lloyd *lloyd, const struct mpivf_candidates *candidates,
                      const uint32_t *group_of, double work, struct mpivf_lloyd_step *step);

/*
 * Bring the centroids to the means of what the last iteration summed, when those were over-relaxed.
 * The mean distance of the rows to the centroids of the lists that it left them in. Collective,
 * agreed.
 */
double
mpivf_lloyd_settle_all(struct mpivf_lloyd *lloyd);

#endif
