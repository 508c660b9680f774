/*
 * coarse: the coarse quantizer, lists told apart by their centroids.
 *
 * Adding a row to its list and choosing the lists to probe for a query are the same
 * computation, and it is here: the nearest centroids by canonical squared distance, ties to the
 * smaller list. For ip and cosine centroids have unit length, and rows are brought to it first.
 * That is the order of inner products, without what they lose of rows that hardly differ: the
 * float32 rounding of a centroid's length would decide between lists that lie nearer than 1e-4. A
 * row of zeros is as near to every list, at distance 1.
 */
#ifndef MPIVF_INDEX_COARSE_H
#define MPIVF_INDEX_COARSE_H

#include "math/choose.h"
#include "math/nearest.h"

struct mpivf_coarse {
    struct mpivf_context *ctx; /* not owned */
    enum mpivf_metric metric;  /* of the index */
    size_t lists, dim;
    float *centroid; /* owned, [lists, dim] */
    float *centre;   /* owned, [dim] */
    struct mpivf_packed_rows packed;
    struct mpivf_choice choice;       /* a first look, if one was chosen */
    struct mpivf_packed_rows *subset; /* owned, one a thread: candidates; NULL = none */
    struct mpivf_tile *tile;          /* owned, one a thread */
    struct mpivf_interval *interval;  /* owned, a batch for each thread */
    int threads;
    struct mpivf_pool pool, packed_pool, choice_pool, subset_pool; /* of what is owned */
};

/*
 * Room for `lists` centroids. They are set by the caller, then mpivf_coarse_ready. Memory:
 * 2 lists dim floats and a tile a thread. Release with mpivf_coarse_clear, also after failure.
 * Local.
 */
mpivf_status
mpivf_coarse_init(struct mpivf_context *ctx, struct mpivf_coarse *coarse, enum mpivf_metric metric,
                  size_t lists, size_t dim);

/* Bytes of it. Local. */
size_t
mpivf_coarse_bytes(size_t lists, size_t dim, int threads);

void
mpivf_coarse_clear(struct mpivf_coarse *coarse);

/* Prepare after the centroids have changed: around their mean, or the centre that is set. Local. */
void
mpivf_coarse_ready(struct mpivf_coarse *coarse);
void
mpivf_coarse_refill(struct mpivf_coarse *coarse);

/*
 * The `probes` nearest lists of each of n rows, nearest first, into list [n, probes];
 * distances too when `distance` is not NULL. probes <= lists. Scratch comes out of the budget:
 * mpivf_coarse_scratch bytes, more after mpivf_coarse_choose. All threads work. MPIVF_MEMORY.
 * Local.
 */
mpivf_status
mpivf_coarse_probe(struct mpivf_coarse *coarse, const float *row, size_t n, size_t probes,
                   uint32_t *list, double *distance);

/* The nearest list of each row: one probe. Local. */
mpivf_status
mpivf_coarse_assign(struct mpivf_coarse *coarse, const float *row, size_t n, uint32_t *list);

/*
 * `total` rows like these n are going to be assigned: look first at projected centroids (project.h)
 * if that is faster. The first call, when the quantizer is ready, decides; it is not for training
 * then. MPIVF_MEMORY: it takes mpivf_coarse_choose_bytes, most of them for a while. Local.
 */
mpivf_status
mpivf_coarse_choose(struct mpivf_coarse *coarse, const float *row, size_t n, uint64_t total);
size_t
mpivf_coarse_choose_bytes(const struct mpivf_coarse *coarse);

/* Is it so much work that choosing pays? Local. */
bool
mpivf_coarse_is_large(const struct mpivf_coarse *coarse, uint64_t total);

/* ---- training: rows that are prepared once and come with the list they are in ---- */

#define MPIVF_COARSE_NONE UINT32_MAX

/*
 * Room for rows to be prepared (mpivf_packed_queries_fill), around the centre of the quantizer; of
 * unit length, or zeros, for ip and cosine. Local.
 */
mpivf_status
mpivf_coarse_prepare(struct mpivf_context *ctx, struct mpivf_packed_queries *rows, size_t dim,
                     size_t capacity);

/*
 * The nearest list of each row, list[i] being the one it has or MPIVF_COARSE_NONE; by ip and cosine
 * a row of zeros keeps the one it has. All threads work. Local.
 */
void
mpivf_coarse_reassign(struct mpivf_coarse *coarse, const struct mpivf_packed_queries *rows,
                      uint32_t *list);

/* The lists that the rows of each group are compared with: different ones, in any order. */
struct mpivf_candidates {
    size_t groups;
    const uint64_t *start; /* [groups + 1] */
    const uint32_t *list;  /* those of group g are list[start[g]] .. list[start[g + 1] - 1] */
};

/* Room to compare with candidates, and its bytes. Cleared with the quantizer, or alone. Local. */
mpivf_status
mpivf_coarse_subsets_init(struct mpivf_coarse *coarse);
size_t
mpivf_coarse_subsets_bytes(size_t dim, int threads);
void
mpivf_coarse_subsets_clear(struct mpivf_coarse *coarse);

/*
 * For each row the nearest of the list it has and the candidates of its group, ties to the smaller
 * list. The rows of group g are order[start[g]] .. order[start[g + 1] - 1]. All threads work.
 * Local.
 */
void
mpivf_coarse_reassign_among(struct mpivf_coarse *coarse, const struct mpivf_candidates *candidates,
                            const struct mpivf_packed_queries *rows, const uint32_t *order,
                            const uint64_t *start, uint32_t *list);

/* Bytes of scratch while probing; 0 probes: while assigning rows. Local. */
size_t
mpivf_coarse_scratch(enum mpivf_metric metric, size_t dim, int threads, size_t probes);

/* A 64-bit mark of metric, shape and centroids. Local. */
uint64_t
mpivf_coarse_fingerprint(const struct mpivf_coarse *coarse);

#endif
