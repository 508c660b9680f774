/* near: for each list the lists nearest to it, the candidates of a local iteration. */
#ifndef MPIVF_BUILD_NEAR_H
#define MPIVF_BUILD_NEAR_H

#include "index/coarse.h"

#include <mpivf/par.h>

enum { MPIVF_NEAR = 48 }; /* a panel */

struct mpivf_near {
    const struct mpivf_par *par; /* not owned */
    struct mpivf_coarse *coarse; /* not owned */
    struct mpivf_candidates candidates;
    uint64_t *start;        /* owned, [lists + 1] */
    uint32_t *list;         /* owned, [lists, each] */
    uint32_t *mine;         /* owned, [this rank's share, each] */
    struct mpivf_pool pool; /* of what is owned */
    size_t each;
};

/*
 * Room for the neighbours of all lists of `coarse`: 8 MPIVF_NEAR + 8 bytes a list at most. Release
 * with mpivf_near_clear, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_near_init_all(struct mpivf_near *near, const struct mpivf_par *par,
                    struct mpivf_coarse *coarse);

/* Nothing to release is fine. Local. */
void
mpivf_near_clear(struct mpivf_near *near);

/* Bytes of it while it looks. Local. */
size_t
mpivf_near_bytes(enum mpivf_metric metric, size_t lists, size_t dim, int threads);

/*
 * Find them for the centroids as they are, each rank an even share of the lists. Collective,
 * agreed.
 */
mpivf_status
mpivf_near_find_all(struct mpivf_near *near);

#endif
