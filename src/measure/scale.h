/*
 * scale: how the distances of one file become those of another.
 *
 * Files of neighbours hold distances by many conventions: Euclidean or its square, an inner
 * product or its negative, 1 - cos or an angle. Two files that are compared by distance have to
 * follow the same one, and what they say of themselves is no proof. The rows that both found for
 * the same query are proof: their distances are equal, or one of a table of maps makes them so.
 *
 * Distances count as equal when they differ by 1e-5 of the value at most, plus 1e-6 of the
 * largest of the query (for 1 - cos near 0). float64 and float32 sums of the same products stay
 * within that, while conventions differ by far more, and distances that are rounded more coarsely
 * cannot tell which rows are as near as another. One pair in a hundred may differ: float32 sums
 * by |a|^2 + |b|^2 - 2ab lose all digits where rows are nearly the query.
 */
#ifndef MPIVF_MEASURE_SCALE_H
#define MPIVF_MEASURE_SCALE_H

#include <mpivf/type.h>

#include <stdbool.h>
#include <stdint.h>

enum { MPIVF_SCALE_SAME, MPIVF_SCALES = 14 }; /* the maps; the first changes nothing */

/* What the pairs seen so far say. */
struct mpivf_scale_evidence {
    uint64_t pairs, equal[MPIVF_SCALES]; /* pairs that each map makes equal */
};

/*
 * The distances of a row that both found: `there` in the file to convert, `here` in the other, in
 * which `largest` is the largest of the query. Local.
 */
void
mpivf_scale_add(struct mpivf_scale_evidence *evidence, double there, double here, double largest);

/*
 * The map of the evidence, among those of `metric` (NULL: any metric); -1 when none makes pairs
 * equal, or when there are none, or when several do and `same` is not said to be expected. Local.
 */
int
mpivf_scale_find(const struct mpivf_scale_evidence *evidence, const enum mpivf_metric *metric,
                 bool same);

double
mpivf_scale_map(int scale, double there);

/* Do larger values come out smaller? Local. */
bool
mpivf_scale_reverses(int scale);

/* What is converted, in words: "squared distances". Local. */
const char *
mpivf_scale_name(int scale);

#endif
