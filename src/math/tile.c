#include "math/tile.h"

#include "math/blas.h"
#include "math/nearest_one.h"

/*
 * The words of a block take half of the second-level cache. Of rows in parts 192 KiB of panels stay
 * there, 64 of queries and 48 of sums, half of that where it is small; 8 KiB of a group stay in the
 * first.
 */
enum { LEAST_PANELS = 4, PART_PANELS = 4, SMALL_CACHE = 512 << 10 };

size_t
mpivf_block_rows(const struct mpivf_packed_rows *packed)
{
    size_t steps = mpivf_looked_at(packed)->steps,
           all = steps + (packed->first ? packed->steps : 0);
    size_t panels = mpivf_kernel_cache() / 2 / (all * MPIVF_WORD * MPIVF_PANEL);
    panels = panels > LEAST_PANELS ? panels : LEAST_PANELS;
    if (mpivf_goes_in_parts(steps))
        panels = mpivf_kernel_cache() < SMALL_CACHE ? PART_PANELS / 2 : PART_PANELS;
    return panels < MPIVF_BLOCK_ROWS / MPIVF_PANEL ? panels * MPIVF_PANEL : MPIVF_BLOCK_ROWS;
}

static void
lay_out(struct mpivf_tile *tile, struct mpivf_pool *pool, size_t dim)
{
    *tile = (struct mpivf_tile){.rivals = {.computed = 0}};
    tile->product =
        mpivf_pool_take(pool, MPIVF_TILE_QUERIES * MPIVF_BLOCK_ROWS, sizeof *tile->product);
    tile->gather = mpivf_pool_take(pool, MPIVF_TILE_QUERIES * dim, sizeof *tile->gather);
    tile->survivor = mpivf_pool_take(pool, MPIVF_GROUP * MPIVF_BLOCK_ROWS, sizeof *tile->survivor);
    tile->mask =
        mpivf_pool_take(pool, MPIVF_GROUP * (MPIVF_BLOCK_ROWS / MPIVF_PANEL), sizeof *tile->mask);
    tile->value = mpivf_pool_take(pool, MPIVF_GROUP * MPIVF_BLOCK_ROWS, sizeof *tile->value);
    tile->sums = mpivf_pool_take(pool, MPIVF_TILE_GROUPS * MPIVF_GROUP,
                                 PART_PANELS * MPIVF_PANEL * MPIVF_WORD);
    tile->reach = mpivf_pool_take(pool, MPIVF_BLOCK_ROWS, sizeof *tile->reach);
    mpivf_rivals_lay_out(&tile->rivals, pool);
}

struct mpivf_tile *
mpivf_tile_take(struct mpivf_pool *pool, int threads, size_t dim)
{
    struct mpivf_tile counted;
    struct mpivf_tile *tile = mpivf_pool_take(pool, (size_t)threads, sizeof *tile);
    mpivf_blas_init(); /* whoever uses the library, before threads start */
    (void)mpivf_kernel();
    (void)mpivf_kernel_cache();
    for (int t = 0; t < threads; t++)
        lay_out(tile ? &tile[t] : &counted, pool, dim);
    return tile;
}
