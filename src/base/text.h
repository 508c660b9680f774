/* text: what is asked of strings. */
#ifndef MPIVF_BASE_TEXT_H
#define MPIVF_BASE_TEXT_H

#include <stdbool.h>
#include <string.h>

/* Does it end so? Local. */
static inline bool
mpivf_ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), end = strlen(ending);
    return length >= end && memcmp(text + length - end, ending, end) == 0;
}

#endif
