#include "base/then.h"
#include "io/hdf5_internal.h"
#include "par/array.h"

#include "base/compare.h"

#include <string.h>

static const char table[] = "the table of where rows lie";

mpivf_status
mpivf_h5_layout_name(struct mpivf_context *ctx, struct mpivf_h5_layout *layout, const char *name,
                     uint64_t *at)
{
    uint64_t bytes = strlen(name) + 1;
    mpivf_status status = mpivf_grow(ctx, table, &layout->name, layout->names, bytes,
                                     sizeof *layout->name, &layout->name_room);
    if (status)
        return status;
    *at = layout->names;
    memcpy(layout->name + layout->names, name, bytes);
    layout->names += bytes;
    return MPIVF_OK;
}

mpivf_status
mpivf_h5_layout_leaf(struct mpivf_context *ctx, struct mpivf_h5_layout *layout,
                     const struct mpivf_h5_leaf *leaf, int64_t *number)
{
    mpivf_status status = mpivf_grow(ctx, table, &layout->leaf, layout->leaves, 1,
                                     sizeof *layout->leaf, &layout->leaf_room);
    if (status)
        return status;
    *number = (int64_t)layout->leaves;
    layout->leaf[layout->leaves++] = *leaf;
    return MPIVF_OK;
}

mpivf_status
mpivf_h5_layout_piece(struct mpivf_context *ctx, struct mpivf_h5_layout *layout,
                      const struct mpivf_h5_piece *piece)
{
    mpivf_status status = mpivf_grow(ctx, table, &layout->piece, layout->pieces, 1,
                                     sizeof *layout->piece, &layout->piece_room);
    if (status)
        return status;
    layout->piece[layout->pieces++] = *piece;
    return MPIVF_OK;
}

mpivf_status
mpivf_h5_layout_unwritten(struct mpivf_context *ctx, struct mpivf_h5_layout *layout, uint64_t row,
                          uint64_t rows)
{
    struct mpivf_range *last =
        layout->unwrittens ? &layout->unwritten[layout->unwrittens - 1] : NULL;
    if (last && last->row <= row &&
        row <= last->row + last->rows) { /* mostly one after the other */
        uint64_t end = row + rows > last->row + last->rows ? row + rows : last->row + last->rows;
        last->rows = end - last->row;
        return MPIVF_OK;
    }
    mpivf_status status = mpivf_grow(ctx, table, &layout->unwritten, layout->unwrittens, 1,
                                     sizeof *layout->unwritten, &layout->unwritten_room);
    if (status)
        return status;
    layout->unwritten[layout->unwrittens++] = (struct mpivf_range){row, rows};
    return MPIVF_OK;
}

void
mpivf_h5_layout_finish(struct mpivf_h5_layout *layout)
{
    layout->unwrittens = mpivf_range_normalise(layout->unwritten, layout->unwrittens, NULL);
    layout->ascending = true;
    for (uint64_t i = 1; i < layout->pieces; i++) {
        const struct mpivf_h5_piece *a = &layout->piece[i - 1], *b = &layout->piece[i];
        if (b->row < a->row || b->row + b->rows < a->row + a->rows)
            layout->ascending = false;
    }
}

static uint64_t
product(uint64_t a, uint64_t b)
{
    uint64_t c;
    return __builtin_mul_overflow(a, b, &c) ? UINT64_MAX : c;
}

uint64_t
mpivf_h5_layout_chunk(const struct mpivf_h5_leaf *leaf, size_t element)
{
    return product(product(leaf->chunk_rows, leaf->chunk_columns), element);
}

uint64_t
mpivf_h5_layout_band(const struct mpivf_h5_leaf *leaf, size_t element)
{
    return product(product(mpivf_smaller(leaf->chunk_rows, leaf->rows), leaf->columns), element);
}

void
mpivf_h5_layout_free(struct mpivf_context *ctx, struct mpivf_h5_layout **layout)
{
    struct mpivf_h5_layout *l = *layout;
    *layout = NULL;
    if (l == NULL)
        return;
    mpivf_free(ctx, l->leaf);
    mpivf_free(ctx, l->piece);
    mpivf_free(ctx, l->name);
    mpivf_free(ctx, l->unwritten);
    mpivf_free(ctx, l);
}

mpivf_status
mpivf_h5_layout_bcast_all(const struct mpivf_par *par, struct mpivf_h5_layout **layout)
{
    struct mpivf_h5_layout *l = *layout;
    if (par->rank != 0)
        l = *layout = mpivf_alloc_zero(par->ctx, table, 1, sizeof *l);
    mpivf_status status = mpivf_agree_all(par, l ? MPIVF_OK : MPIVF_MEMORY);
    struct mpivf_h5_layout whole = {0};
    if (status == MPIVF_OK && par->rank == 0)
        whole = *l;
    if (status == MPIVF_OK)
        mpivf_bcast_all(par, &whole, sizeof whole);
    if (status == MPIVF_OK && par->rank != 0) {
        *l = whole;
        l->leaf = NULL, l->piece = NULL, l->name = NULL, l->unwritten = NULL;
    }
    THEN(status, mpivf_bcast_array_all(par, table, &l->leaf, &l->leaves, sizeof *l->leaf));
    THEN(status, mpivf_bcast_array_all(par, table, &l->piece, &l->pieces, sizeof *l->piece));
    THEN(status, mpivf_bcast_array_all(par, table, &l->name, &l->names, sizeof *l->name));
    THEN(status,
         mpivf_bcast_array_all(par, table, &l->unwritten, &l->unwrittens, sizeof *l->unwritten));
    return status;
}

uint64_t
mpivf_h5_layout_unwritten_rows(const struct mpivf_h5_layout *layout,
                               const struct mpivf_range **range, size_t *ranges)
{
    *range = layout->unwritten;
    *ranges = layout->unwrittens;
    return mpivf_range_rows(layout->unwritten, layout->unwrittens);
}
