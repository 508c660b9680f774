/* publish: the files that tell a truth, out of the checkpoints that have it. */
#ifndef MPIVF_MEASURE_PUBLISH_H
#define MPIVF_MEASURE_PUBLISH_H

#include "measure/request.h"
#include "measure/checkpoint.h"

struct mpivf_published {
    bool in_vain;            /* failed, because no row was good: checkpoints are of no use */
    uint64_t rows, rejected; /* of the longest prefix */
    uint64_t duplicates;     /* queries that are rows of it */
};

/*
 * Write the outputs of a request all of whose queries have a checkpoint with every row, each whole
 * or not at all. Memory: a piece. Local, for rank 0.
 */
mpivf_status
mpivf_publish(const struct mpivf_request *request, struct mpivf_published *published);

#endif
