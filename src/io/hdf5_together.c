#include "io/hdf5_reader.h"

/* Walks the transfers of a list of ranges. */
struct walk {
    const struct mpivf_range *range;
    size_t ranges;
    uint64_t row, column; /* of the first range, and across it */
    char *data;
};

/* The next transfer; false at the end. */
static bool
next_transfer(const struct mpivf_h5_reader *r, struct walk *w, struct mpivf_h5_rectangle *part,
              char **to)
{
    uint64_t rows, columns;
    mpivf_h5_chunk_step(r->slot[0].open.leaf, r->element, &rows, &columns);
    if (w->ranges == 0)
        return false;
    uint64_t row = w->range->row + w->row, left = w->range->rows - w->row;
    uint64_t border = (row / rows + 1) * rows - row, across = r->columns - w->column;
    *part = (struct mpivf_h5_rectangle){row, left < border ? left : border, w->column,
                                        across < columns ? across : columns};
    *to = w->data + w->column * r->element;
    w->column += part->columns;
    if (w->column < r->columns)
        return true;
    w->column = 0;
    w->row += part->rows;
    w->data += part->rows * r->columns * r->element;
    if (w->row == w->range->rows) {
        w->range++;
        w->ranges--;
        w->row = 0;
    }
    return true;
}

/* All ranks do as many transfers as the one that has most; some without a row. */
mpivf_status
mpivf_h5_together_read_each(struct mpivf_h5_reader *r, const struct mpivf_range *range,
                            size_t ranges, char *data)
{
    struct walk w = {.range = range, .ranges = ranges, .data = data}, count = w;
    struct mpivf_h5_rectangle part;
    const struct mpivf_h5_slot *slot = &r->slot[0];
    mpivf_status status = MPIVF_OK;
    uint64_t transfers = 0;
    char *to;
    while (next_transfer(r, &count, &part, &to))
        transfers++;
    transfers = mpivf_max_u64_all(r->par, transfers);
    for (uint64_t i = 0; i < transfers; i++) {
        bool some = next_transfer(r, &w, &part, &to);
        char nothing;
        herr_t result = mpivf_h5_chunk_transfer(&slot->open, some ? &part : NULL,
                                                some ? to : &nothing, r->columns);
        if (result < 0 && status == MPIVF_OK)
            status = some ? mpivf_h5_slot_fail(r, slot, &part)
                          : mpivf_h5_fail(r->ctx, MPIVF_IO, "cannot read with the other ranks");
    }
    return status;
}
