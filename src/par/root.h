/* root: what one rank does for all; what all have to have alike. */
#ifndef MPIVF_PAR_ROOT_H
#define MPIVF_PAR_ROOT_H

#include <mpivf/par.h>

/* Rank 0 evaluates `call`; every rank gets its status. Collective, agreed. */
#define ROOT_ALL(par, call) mpivf_agree_all(par, (par)->rank == 0 ? (call) : MPIVF_OK)

/* Has every rank this value? To be asserted where a phase begins. Collective, agreed. */
static inline bool
mpivf_same_all(const struct mpivf_par *par, uint64_t value)
{
    return mpivf_min_u64_all(par, value) == mpivf_max_u64_all(par, value);
}

#endif
