/* version: of the library. CMakeLists.txt reads it here. */
#ifndef MPIVF_VERSION_H
#define MPIVF_VERSION_H

#include <mpivf/api.h>

#define MPIVF_VERSION_MAJOR 0
#define MPIVF_VERSION_MINOR 1
#define MPIVF_VERSION_PATCH 0
#define MPIVF_VERSION "0.1.0"

MPIVF_API_BEGIN

/* MPIVF_VERSION of the library that is linked, for a program to compare with its own. Local. */
const char *
mpivf_version(void);

MPIVF_API_END

#endif
