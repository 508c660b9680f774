/* limit: what the system allows a process, looked at before the work that needs it. */
#ifndef MPIVF_BASE_LIMIT_H
#define MPIVF_BASE_LIMIT_H

#include <mpivf/context.h>

enum { MPIVF_FILES = 64 }; /* open at once: what MPI, HDF5 and a command of ours take */

/*
 * See to it that this process may have MPIVF_FILES + `inputs` files open at once, raising its limit
 * as far as it may itself. MPIVF_USAGE when that is not far enough. Local.
 */
mpivf_status
mpivf_limit_files(struct mpivf_context *ctx, uint64_t inputs);

#endif
