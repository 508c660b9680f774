/* root: what one rank does for all. */
#ifndef MPIVF_PAR_ROOT_H
#define MPIVF_PAR_ROOT_H

#include <mpivf/par.h>

/* Rank 0 evaluates `call`; every rank gets its status. Collective, agreed. */
#define ROOT_ALL(par, call) mpivf_agree_all(par, (par)->rank == 0 ? (call) : MPIVF_OK)

#endif
