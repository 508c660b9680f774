/*
 * scan: read inverted lists and compare each with the queries that probe it.
 *
 * Lists are visited in file order, several in one read; each rank scans a contiguous run of
 * them, cut so that all have about the same work.
 */
#ifndef MPIVF_SEARCH_SCAN_H
#define MPIVF_SEARCH_SCAN_H

#include "index/format.h"
#include "math/nearest.h"

#include <mpivf/progress.h>

/* Which queries probe which list: query[first[l] .. first[l+1]-1] of list l. */
struct mpivf_probes {
    uint64_t lists, queries, probes;
    uint32_t *list;         /* owned, [queries, probes]: as chosen, nearest first */
    uint64_t *first;        /* owned, [lists + 1] */
    uint32_t *query;        /* owned, [queries * probes], ascending inside a list */
    struct mpivf_pool pool; /* of what is owned */
};

/* Bytes of them. Local. */
size_t
mpivf_probes_bytes(uint64_t lists, uint64_t queries, uint64_t probes);

/*
 * Choose the lists of all queries, each rank for its share. Release with mpivf_probes_clear,
 * also after failure. Collective, agreed.
 */
mpivf_status
mpivf_probes_choose_all(const struct mpivf_par *par, struct mpivf_coarse *coarse, const float *row,
                        uint64_t queries, uint64_t probes, struct mpivf_probes *chosen);

/* Nothing to release is fine. Local. */
void
mpivf_probes_clear(struct mpivf_probes *chosen);

struct mpivf_scan {
    const struct mpivf_par *par; /* not owned */
    struct mpivf_index *index;   /* not owned */
    struct mpivf_coarse *coarse; /* not owned; its centre and tiles are used */
    bool positions;              /* entries carry places in the file instead of ids */
    uint64_t pairs;              /* (query, row) pairs compared by this rank, added to */
};

/*
 * Update topk, one entry set for each row of `row`, from the lists chosen. Each rank ends with
 * the best of its own lists. MPIVF_CORRUPT when a list's checksum differs; with raw rows in the
 * file, which are under it too and are not read, nothing is compared. Collective, agreed.
 */
mpivf_status
mpivf_scan_all(struct mpivf_scan *scan, const float *row, const struct mpivf_probes *chosen,
               struct mpivf_topk *topk, struct mpivf_progress *progress);

/* Bytes of buffers for so many queries. Local. */
size_t
mpivf_scan_bytes(const struct mpivf_index_meta *meta, uint64_t queries, int threads);

#endif
