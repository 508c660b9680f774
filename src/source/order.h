/*
 * order: the second pass of a shuffle. Each bucket is read whole, put in order and written back
 * where it was; buckets are dealt to the ranks one by one.
 */
#ifndef MPIVF_SOURCE_ORDER_H
#define MPIVF_SOURCE_ORDER_H

#include "source/bucket.h"

#include <mpivf/progress.h>
#include <mpivf/range.h>

/* MPIVF_CORRUPT when a bucket has not the ids it has to have. Collective, agreed. */
mpivf_status
mpivf_order_all(const struct mpivf_shuffling *shuffling, struct mpivf_progress *progress);

#endif
