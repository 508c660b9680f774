/*
 * then: steps, each taken when those before it went well.
 *
 *     mpivf_status status = open_all(build);
 *     THEN(status, train_all(build));
 *     THEN(status, add_all(build));
 *     return status;
 *
 * Nothing returns on the way, so that what was acquired is released below the last step. A step
 * that is not always taken, or that is no call, stands under an `if`.
 */
#ifndef MPIVF_BASE_THEN_H
#define MPIVF_BASE_THEN_H

#include <mpivf/context.h>

/* The next step: `call` is evaluated, and `status` set to it, unless a step before it failed. */
#define THEN(status, call)                                                                         \
    do {                                                                                           \
        if ((status) == MPIVF_OK)                                                                  \
            (status) = (call);                                                                     \
    } while (0)

#endif
