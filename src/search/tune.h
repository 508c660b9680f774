/* tune: how many probes a recall takes, measured on a sample of the queries. */
#ifndef MPIVF_SEARCH_TUNE_H
#define MPIVF_SEARCH_TUNE_H

#include "search/query.h"
#include "search/scan.h"

/* Queries of the sample. Local. */
uint64_t
mpivf_tune_queries(const struct mpivf_query *query);

/* Bytes beside those of a search of them in all lists. Local. */
size_t
mpivf_tune_bytes(const struct mpivf_query *query, uint64_t lists);

/*
 * Every (queries / 100)-th query is searched in all lists; the position of each neighbour's list
 * among the query's probes tells the recall of any number of probes at once. *probes is the
 * smallest with at least `recall`, *reached what it gives. Costs one scan of the whole index
 * for 100 queries. Collective, agreed.
 */
mpivf_status
mpivf_tune_probes_all(struct mpivf_scan *scan, const struct mpivf_query *query, uint64_t k,
                      double recall, struct mpivf_progress *progress, uint64_t *probes,
                      double *reached);

#endif
