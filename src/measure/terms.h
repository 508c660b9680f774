/*
 * terms: on which terms a result and a truth are compared: by what convention of distances, in
 * which order, and what is counted.
 */
#ifndef MPIVF_MEASURE_TERMS_H
#define MPIVF_MEASURE_TERMS_H

#include "measure/scale.h"
#include "measure/side.h"

#include <mpivf/eval.h>

struct mpivf_terms {
    enum mpivf_eval_counted counted;
    int scale;                    /* from the truth's distances to the result's; -1: not known */
    int sign;                     /* of distances, so that smaller is nearer; 0: not known */
    bool sort_result, sort_truth; /* rows are not in the order of their distances */
};

/* What two files that have been looked at, and the ids that both have, allow. Local. */
void
mpivf_terms_find(const struct mpivf_side *result, const struct mpivf_side *truth,
                 const struct mpivf_scale_evidence *evidence, struct mpivf_terms *terms);

/* Note what was done and why. Local. */
void
mpivf_terms_say(struct mpivf_context *ctx, const struct mpivf_terms *terms,
                const struct mpivf_side *result, const struct mpivf_side *truth,
                const struct mpivf_scale_evidence *evidence);

#endif
