/* hit: what was found for a query, as rows of it are compared. Every function is local. */
#ifndef MPIVF_MEASURE_HIT_H
#define MPIVF_MEASURE_HIT_H

#include <stdbool.h>
#include <stdint.h>

/* A row found for a query; id -1: none. */
struct mpivf_hit {
    int64_t id;
    double distance; /* NaN: not known */
};

/* Those of n hits that are there, by id, each once, into `into`, [n]. How many. Local. */
uint64_t
mpivf_hits_gather(const struct mpivf_hit *hit, uint64_t n, struct mpivf_hit *into);

/* Nearest first, unknown distances last, ties by id. Local. */
void
mpivf_hits_sort(struct mpivf_hit *hit, uint64_t n);

/* The ids of n hits, ascending, into `sorted`, [n], which it returns. Local. */
const int64_t *
mpivf_hits_ids(const struct mpivf_hit *hit, uint64_t n, int64_t *sorted);

/* Is this id among n that mpivf_hits_ids has sorted? Local. */
bool
mpivf_hits_have(const int64_t *sorted, uint64_t n, int64_t id);

/* Keep the first of equal ids; `sorted` is room for n ids. How many are left. Local. */
uint64_t
mpivf_hits_drop_repeated(struct mpivf_hit *hit, uint64_t n, int64_t *sorted);

#endif
