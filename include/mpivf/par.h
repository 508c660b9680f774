/*
 * par: the only layer that talks MPI.
 *
 * Every function is one of three, and its comment says which:
 *   "Collective, agreed", names that end in _all: every rank of the communicator calls it, in the
 *     same order, and every rank gets the same status;
 *   "Collective, own status", names that end in _each: every rank calls it as often, and gets a
 *     status of its own, to be agreed on (mpivf_agree_all, mpivf_round_all);
 *   "Local": any rank, at any time. So is a function whose comment says nothing.
 * A rank with nothing to do joins with size 0. A rank that has failed keeps joining until the next
 * agreement, which spreads the failure and its text. MPI's own errors end the job
 * (MPI_ERRORS_ARE_FATAL). Where MPI has a word, it is ours: sum, max, min, exscan, allgather,
 * gather.
 */
#ifndef MPIVF_PAR_H
#define MPIVF_PAR_H

#include <mpivf/api.h>
#include <mpivf/context.h>

/* not the C++ bindings, which MPI has given up: they want a library of their own */
#if defined __cplusplus && !defined OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#if defined __cplusplus && !defined MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <stdbool.h>

MPIVF_API_BEGIN

struct mpivf_par {
    struct mpivf_context *ctx; /* not owned */
    MPI_Comm comm;             /* owned duplicate */
    int rank, size;
    int node_rank, node_size; /* among the ranks that share memory with this one */
    bool aside;               /* another thread may talk MPI too, while this one does not */
};

/*
 * Start MPI for a program and stop it. `ctx` is linked to the world. Threads may take turns to talk
 * MPI where it allows that (par->aside), else only the one that is here. Collective, agreed, over
 * all processes.
 */
void
mpivf_par_start_all(struct mpivf_par *par, int *argc, char ***argv, struct mpivf_context *ctx);
void
mpivf_par_stop_all(struct mpivf_par *par);

/*
 * The rank this process was launched as, from the launcher's environment, before MPI starts. Local.
 */
int
mpivf_par_launched_rank(void);

/* Processors this rank may run on. Local. */
int
mpivf_par_processors(void);

/*
 * Threads this rank should use: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else the processors it
 * may run on; never more than those, and its share of them when ranks are not bound. Local.
 */
int
mpivf_par_threads(const struct mpivf_par *par);

/* Duplicate `comm` and learn who shares this node. Collective, agreed, over `comm`. */
void
mpivf_par_init_all(struct mpivf_par *par, MPI_Comm comm, struct mpivf_context *ctx);

/* Collective, agreed. */
void
mpivf_par_clear_all(struct mpivf_par *par);

/*
 * The one agreement: every rank brings its status, all leave with the same one. When some
 * failed, the lowest failing rank's text is on every rank, led by "rank N: " unless it is 0.
 * One small Allreduce; a broadcast more on failure. Collective, agreed.
 */
mpivf_status
mpivf_agree_all(const struct mpivf_par *par, mpivf_status status);

/* Copy `bytes` from rank 0 to all. Any size. Collective, agreed. */
void
mpivf_bcast_all(const struct mpivf_par *par, void *data, size_t bytes);

/* Element sums, on every rank, in place. Exact in any order. Collective, agreed. */
void
mpivf_sum_all(const struct mpivf_par *par, int64_t *values, size_t count);

/*
 * Element sums, on rank 0 only, in place; elsewhere `values` is left as it was. Collective,
 * agreed.
 */
void
mpivf_sum_to_root_all(const struct mpivf_par *par, int64_t *values, size_t count);

/* Element sums over the lower ranks alone, in place: zeros on rank 0. Collective, agreed. */
void
mpivf_exscan_all(const struct mpivf_par *par, int64_t *values, size_t count);

/* The largest value over the ranks, on every rank. Collective, agreed. */
double
mpivf_max_all(const struct mpivf_par *par, double value);
uint64_t
mpivf_max_u64_all(const struct mpivf_par *par, uint64_t value);

/* The smallest value over the ranks, on every rank. Collective, agreed. */
uint64_t
mpivf_min_u64_all(const struct mpivf_par *par, uint64_t value);

/* The sum over all ranks, on every rank. Collective, agreed. */
uint64_t
mpivf_sum_u64_all(const struct mpivf_par *par, uint64_t value);

/*
 * Every rank's `bytes` bytes, joined in rank order, on every rank; `all` has room for the total.
 * Collective, agreed.
 */
void
mpivf_allgather_all(const struct mpivf_par *par, const void *mine, size_t bytes, void *all);

/*
 * The same on rank 0 only, where `all` has room for the total; elsewhere `all` is not used.
 * Collective, agreed.
 */
void
mpivf_gather_all(const struct mpivf_par *par, const void *mine, size_t bytes, void *all);

/*
 * Binomial tree reduction to rank 0: `join(arg, data, other)` folds another rank's `bytes`
 * bytes into `data`. ceil(log2 ranks) rounds; `other` is scratch of the same size.
 * The result is on rank 0; elsewhere `data` holds partial results. Collective, agreed.
 */
void
mpivf_tree_all(const struct mpivf_par *par, void *data, void *other, size_t bytes,
               void (*join)(void *arg, void *data, const void *other), void *arg);

/* Seconds on a clock that only moves forward. Local. */
double
mpivf_seconds(void);

/* The share of rank `rank` when n things are cut into `size` even, contiguous parts. */
static inline uint64_t
mpivf_share_first(uint64_t n, int rank, int size)
{
    uint64_t each = n / (uint64_t)size, more = n % (uint64_t)size, r = (uint64_t)rank;
    return each * r + (r < more ? r : more);
}

MPIVF_API_END

#endif
