#include "math/filter.h"

#include <stdlib.h>
#include <string.h>

enum { INTEGER_DIM = 1 << 16 }; /* so many products of int8 fit 32 bits */

static const char *const names[MPIVF_FILTERS] = {"int8", "int16", "float32", "sgemm"};

const char *
mpivf_filter_name(enum mpivf_filter filter)
{
    return names[filter];
}

bool
mpivf_filter_runs(enum mpivf_filter filter, size_t dim)
{
    if (filter == MPIVF_FILTER_INT8)
        return mpivf_kernel()->compare8 != NULL && dim <= INTEGER_DIM;
    return filter != MPIVF_FILTER_INT16 || dim <= INTEGER_DIM;
}

bool
mpivf_filter_forced(size_t dim, enum mpivf_filter *filter)
{
    const char *name = getenv("MPIVF_FILTER");
    for (int f = 0; name && f < MPIVF_FILTERS; f++)
        if (strcmp(name, names[f]) == 0 && mpivf_filter_runs((enum mpivf_filter)f, dim)) {
            *filter = (enum mpivf_filter)f;
            return true;
        }
    return false;
}

enum mpivf_filter
mpivf_filter_best(size_t dim)
{
    enum mpivf_filter best = MPIVF_FILTER_SGEMM;
    if (mpivf_filter_forced(dim, &best))
        return best;
    for (int f = 0; f < MPIVF_FILTERS; f++)
        if (mpivf_filter_runs((enum mpivf_filter)f, dim) &&
            mpivf_filter_cost((enum mpivf_filter)f) < mpivf_filter_cost(best))
            best = (enum mpivf_filter)f;
    return best;
}

mpivf_compare
mpivf_filter_compare(enum mpivf_filter filter)
{
    const struct mpivf_kernel *kernel = mpivf_kernel();
    return filter == MPIVF_FILTER_INT8      ? kernel->compare8
           : filter == MPIVF_FILTER_INT16   ? kernel->compare16
           : filter == MPIVF_FILTER_FLOAT32 ? kernel->compare32
                                            : NULL;
}

double
mpivf_filter_cost(enum mpivf_filter filter)
{
    /* measured with tests/bench: operations of int8 (int16 where there are none) for one of each */
    static const double vnni[] = {1, 1.9, 3.8, 5}, vectors[] = {1, 1, 1.4, 1.6},
                        plain[] = {10, 10, 12, 1};
    const struct mpivf_kernel *kernel = mpivf_kernel();
    if (kernel == mpivf_kernel_at(0))
        return plain[filter];
    return kernel->compare8 ? vnni[filter] : vectors[filter];
}
