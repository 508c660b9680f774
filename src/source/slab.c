#include "source/slab.h"

#include "base/rng.h"

/* Walks the blocks in dealing order and either counts or keeps the pieces of a share. */
struct deal {
    const struct mpivf_source *source;
    uint64_t seed;
    const struct mpivf_range *set;
    size_t ranges;
};

/* The pieces of the set in the block at `position` of the order; `piece` may be NULL to count. */
static size_t
pieces_at(const struct deal *deal, uint64_t position, struct mpivf_range *piece)
{
    const struct mpivf_source *source = deal->source;
    uint64_t block = mpivf_random_place(deal->seed, MPIVF_FOR_DEAL, source->blocks, position);
    uint64_t row = block * source->block_rows, left = source->rows - row;
    struct mpivf_range within = {row, left < source->block_rows ? left : source->block_rows};
    struct mpivf_range probe;
    if (deal->set == NULL) {
        if (piece)
            *piece = within;
        return 1;
    }
    struct mpivf_range *out = piece ? piece : &probe;
    size_t n = 0;
    for (;;) { /* one at a time: the next starts behind the last */
        if (mpivf_range_cut(deal->set, deal->ranges, within, out, 1) == 0)
            return n;
        n++;
        uint64_t end = out->row + out->rows;
        within.rows -= end - within.row;
        within.row = end;
        if (piece)
            out++;
        if (within.rows == 0)
            return n;
    }
}

mpivf_status
mpivf_slab_init(struct mpivf_slab *slab, const struct mpivf_source *source, uint64_t seed,
                const struct mpivf_range *set, size_t ranges)
{
    const struct mpivf_par *par = source->par;
    struct deal deal = {source, seed, set, ranges};
    *slab = (struct mpivf_slab){.ctx = par->ctx};
    /* of the blocks, in shuffled order, that have rows of the set this rank has an even share */
    uint64_t wanted = 0;
    for (uint64_t p = 0; p < source->blocks; p++)
        wanted += pieces_at(&deal, p, NULL) > 0;
    uint64_t first = mpivf_share_first(wanted, par->rank, par->size);
    uint64_t end = mpivf_share_first(wanted, par->rank + 1, par->size);

    for (int keep = 0; keep < 2; keep++) { /* count, then keep */
        uint64_t seen = 0;
        size_t pieces = 0;
        for (uint64_t p = 0; p < source->blocks && seen < end; p++) {
            size_t n = pieces_at(&deal, p, NULL);
            if (n > 0 && seen >= first)
                pieces += keep ? pieces_at(&deal, p, slab->piece + pieces) : n;
            seen += n > 0;
        }
        if (keep)
            break;
        slab->piece = mpivf_alloc(par->ctx, "the slab", pieces + 1, sizeof *slab->piece);
        if (slab->piece == NULL)
            return MPIVF_MEMORY;
        slab->pieces = pieces;
    }
    slab->rows = mpivf_range_rows(slab->piece, slab->pieces);
    return MPIVF_OK;
}

void
mpivf_slab_clear(struct mpivf_slab *slab)
{
    if (slab->ctx)
        mpivf_free(slab->ctx, slab->piece);
    *slab = (struct mpivf_slab){0};
}

/* The next pieces as ranges, in reading order. */
static size_t
look(const struct mpivf_slab *slab, uint64_t max_rows, struct mpivf_range *range, size_t max_ranges,
     uint64_t *rows)
{
    size_t ranges = 0;
    *rows = 0;
    for (size_t at = slab->next; at < slab->pieces && ranges < max_ranges; at++) {
        struct mpivf_range piece = slab->piece[at];
        uint64_t room = max_rows - *rows, take = piece.rows < room ? piece.rows : room;
        /* a piece is split only when it does not fit an empty batch: whole chunks are read once */
        if (take == 0 || (take < piece.rows && ranges > 0))
            break;
        range[ranges++] = (struct mpivf_range){piece.row, take};
        *rows += take;
    }
    return ranges;
}

size_t
mpivf_slab_next(struct mpivf_slab *slab, uint64_t max_rows, struct mpivf_range *range,
                size_t max_ranges, uint64_t *rows)
{
    size_t ranges = look(slab, max_rows, range, max_ranges, rows);
    for (size_t i = 0; i < ranges; i++) {
        struct mpivf_range *piece = &slab->piece[slab->next];
        piece->row += range[i].rows;
        piece->rows -= range[i].rows;
        slab->next += piece->rows == 0;
    }
    return mpivf_range_normalise(range, ranges, NULL);
}

size_t
mpivf_slab_peek(const struct mpivf_slab *slab, uint64_t max_rows, struct mpivf_range *range,
                size_t max_ranges)
{
    uint64_t rows;
    size_t ranges = look(slab, max_rows, range, max_ranges, &rows);
    return mpivf_range_normalise(range, ranges, NULL);
}

void
mpivf_slab_rows(const struct mpivf_range *range, size_t ranges, uint64_t *row_of)
{
    for (size_t i = 0; i < ranges; i++)
        for (uint64_t r = 0; r < range[i].rows; r++)
            *row_of++ = range[i].row + r;
}
