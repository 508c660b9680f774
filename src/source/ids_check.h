/* ids_check: is every id of a dataset given once? */
#ifndef MPIVF_SOURCE_IDS_CHECK_H
#define MPIVF_SOURCE_IDS_CHECK_H

#include <mpivf/progress.h>
#include <mpivf/source.h>

/*
 * MPIVF_INPUT, naming one, when an id is negative or given to two rows. The ids are parted by
 * hash; every rank reads them all and sorts its part. When rows / ranks ids do not fit the
 * budget there are more parts, and as many passes. Collective, agreed.
 */
mpivf_status
mpivf_ids_check_all(const struct mpivf_par *par, struct mpivf_source *ids,
                    struct mpivf_report *report);

#endif
