/*
 * generate: vectors to try things on, of any size, the same for the same seed.
 *
 * Rows lie in clusters of low intrinsic dimension: a centre, plus a combination of a few
 * directions of the cluster, plus a little noise. Value by value they are functions of (seed,
 * row), so any number of ranks writes the same bytes. Queries are further rows of the same kind
 * that are not in the base.
 */
#ifndef MPIVF_GENERATE_H
#define MPIVF_GENERATE_H

#include <mpivf/api.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/type.h>

MPIVF_API_BEGIN

struct mpivf_generate_options {
    uint64_t rows, queries, dim, clusters, intrinsic, seed;
    double noise;         /* standard deviation; that of a cluster's own directions is 1 */
    enum mpivf_type type; /* f32 or f16 */
};

/* The defaults, those of the command line. Local. */
void
mpivf_generate_options_init(struct mpivf_generate_options *options);

/* Write an HDF5 file with /train [rows, dim] and /test [queries, dim]. Collective, agreed. */
mpivf_status
mpivf_generate_all(const struct mpivf_par *par, struct mpivf_output *output,
                   const struct mpivf_generate_options *options, struct mpivf_report *report);

MPIVF_API_END

#endif
