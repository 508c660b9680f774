#include <mpivf/version.h>

const char *
mpivf_version(void)
{
    return MPIVF_VERSION;
}
