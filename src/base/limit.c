#include "base/limit.h"

#include <sys/resource.h>

mpivf_status
mpivf_limit_files(struct mpivf_context *ctx, uint64_t inputs)
{
    struct rlimit limit;
    rlim_t need = MPIVF_FILES + inputs;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
        return MPIVF_OK;
    if (limit.rlim_max >= need) {
        limit.rlim_cur = need;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
            return MPIVF_OK;
    }
    return mpivf_fail(ctx, MPIVF_USAGE,
                      "up to %llu files are open at once, the system allows "
                      "%llu; %sraise it with ulimit -n",
                      (unsigned long long)need, (unsigned long long)limit.rlim_max,
                      inputs > 16 ? "use a smaller --fan-in or " : "");
}
