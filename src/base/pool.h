/*
 * pool: the buffers of a module, laid out by one function that counts them or takes them.
 *
 *     static void
 *     lay_out(struct thing *thing, struct mpivf_pool *pool)
 *     {
 *         thing->row = mpivf_pool_take(pool, thing->rows, sizeof *thing->row);
 *     }
 *
 * With a pool that counts, pool.bytes then tells what all of them need under the budget, and
 * nothing was taken; with one that takes they are there, and go together.
 */
#ifndef MPIVF_BASE_POOL_H
#define MPIVF_BASE_POOL_H

#include <mpivf/context.h>

#include <stdbool.h>

struct mpivf_pool {
    struct mpivf_context *ctx; /* not owned; NULL = it counts */
    const char *what;          /* for messages */
    size_t bytes;              /* counted or taken */
    void *last;                /* owned: a chain of what was taken */
    bool failed;               /* something could not be taken */
};

/* A pool that counts. */
static inline struct mpivf_pool
mpivf_pool_counting(void)
{
    return (struct mpivf_pool){.ctx = NULL};
}

/* A pool that takes, for `what`. Release with mpivf_pool_clear, also after failure. */
static inline struct mpivf_pool
mpivf_pool_taking(struct mpivf_context *ctx, const char *what)
{
    return (struct mpivf_pool){.ctx = ctx, .what = what};
}

/*
 * A buffer, aligned to 64 bytes, not cleared. NULL where the pool counts, and when there is no
 * memory for it, which mpivf_pool_status then tells. Local.
 */
void *
mpivf_pool_take(struct mpivf_pool *pool, size_t count, size_t size);

/* MPIVF_MEMORY when a buffer could not be taken. */
static inline mpivf_status
mpivf_pool_status(const struct mpivf_pool *pool)
{
    return pool->failed ? MPIVF_MEMORY : MPIVF_OK;
}

/* Give all back. A pool that is all zeros is fine. Local. */
void
mpivf_pool_clear(struct mpivf_pool *pool);

/* So many rows or queries are counted to tell what one takes. */
enum { MPIVF_POOL_MANY = 4096 };

/*
 * Of buffers that grow with a number n: what one more takes, rounded up, from what n and none take.
 */
static inline size_t
mpivf_pool_slope(size_t with_n, size_t with_none, size_t n)
{
    return (with_n - with_none + n - 1) / n;
}

#endif
