/* array: an array whose length only rank 0 knows, on every rank. */
#ifndef MPIVF_PAR_ARRAY_H
#define MPIVF_PAR_ARRAY_H

#include <mpivf/par.h>

/*
 * Broadcast rank 0's `count` elements of `size` bytes: *count is set on every rank, and *array, of
 * any pointer type, is allocated on all but rank 0. To be freed also after failure, which is
 * MPIVF_MEMORY, with `what` in its text. Collective, agreed.
 */
mpivf_status
mpivf_bcast_array_all(const struct mpivf_par *par, const char *what, void *array, uint64_t *count,
                      size_t size);

#endif
