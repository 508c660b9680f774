/* publish: the files that tell a truth, out of the parts that have it. */
#ifndef MPIVF_MEASURE_PUBLISH_H
#define MPIVF_MEASURE_PUBLISH_H

#include "measure/inquiry.h"
#include "measure/part.h"

struct mpivf_published {
    bool in_vain;            /* failed, because no row was good: parts are of no use */
    uint64_t rows, rejected; /* of the longest prefix */
    uint64_t duplicates;     /* queries that are rows of it */
};

/*
 * Write the outputs of an inquiry all of whose queries have a part with every row, each whole or
 * not at all. Memory: a piece. Local, for rank 0.
 */
mpivf_status
mpivf_publish(const struct mpivf_inquiry *inquiry, struct mpivf_published *published);

#endif
