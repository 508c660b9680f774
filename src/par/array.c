#include "par/array.h"

mpivf_status
mpivf_bcast_array_all(const struct mpivf_par *par, const char *what, void *array, uint64_t *count,
                      size_t size)
{
    void **mine = array;
    mpivf_bcast_all(par, count, sizeof *count);
    if (par->rank != 0)
        *mine = mpivf_alloc(par->ctx, what, *count, size);
    mpivf_status status =
        mpivf_agree_all(par, par->rank == 0 || *mine != NULL ? MPIVF_OK : MPIVF_MEMORY);
    if (status == MPIVF_OK)
        mpivf_bcast_all(par, *mine, *count * size);
    return status;
}
