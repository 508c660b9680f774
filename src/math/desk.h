/* desk: what a thread works with while it packs rows; prepare.c counts it, pack.c sits at it. */
#ifndef MPIVF_MATH_DESK_H
#define MPIVF_MATH_DESK_H

#include "math/prepare.h"

/* Work rows, of a panel where they are projected, and the words of one. */
struct mpivf_desk {
    float *work;      /* [rows, dim] */
    float *along;     /* [rows, axes] */
    float *projected; /* [values] */
    char *word;       /* [steps] words */
    double *square;   /* [rows] */
};

/* Bytes of one; a packed side has one for each thread in `work`. Local. */
size_t
mpivf_desk_bytes(size_t dim, size_t steps, const struct mpivf_projection *projection);

#endif
