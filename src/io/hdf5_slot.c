#include "io/hdf5_reader.h"

#include "base/fault.h"

#include <stdio.h>
#include <string.h>

/* ---- memory ---- */

/* How many pieces a row lies in, at most, up to MPIVF_H5_SLOTS. */
static int
pieces_across(const struct mpivf_h5_layout *layout)
{
    uint64_t max = 1;
    if (!layout->ascending)
        return layout->leaves < MPIVF_H5_SLOTS ? (int)layout->leaves : MPIVF_H5_SLOTS;
    for (uint64_t first = 0, i = 0; i < layout->pieces && max < MPIVF_H5_SLOTS; i++) {
        while (layout->piece[first].row + layout->piece[first].rows <= layout->piece[i].row)
            first++;
        max = i - first + 1 > max ? i - first + 1 : max;
    }
    return (int)max;
}

/* What the leaf that takes most takes: HDF5's memory, and the chunks of a row. */
static const struct mpivf_h5_leaf *
measure(const struct mpivf_h5_layout *layout, size_t element, uint64_t *held, uint64_t *band)
{
    const struct mpivf_h5_leaf *worst = NULL;
    *held = *band = 0;
    for (uint64_t i = 0; i < layout->leaves; i++) {
        const struct mpivf_h5_leaf *leaf = &layout->leaf[i];
        uint64_t mine = mpivf_h5_chunk_memory(leaf, element);
        uint64_t chunks = leaf->whole ? mpivf_h5_layout_band(leaf, element) : 0;
        if (worst == NULL || mine > *held || chunks > *band)
            worst = leaf;
        *held = mine > *held ? mine : *held;
        *band = chunks > *band ? chunks : *band;
    }
    *held += 3 * layout->hidden_chunk;
    return worst;
}

/* Can what the worst leaf needs be had? */
static mpivf_status
check_memory(const struct mpivf_h5_reader *r, const struct mpivf_h5_leaf *worst, uint64_t need)
{
    const char *path = r->layout->name + worst->path, *object = r->layout->name + worst->object;
    char what[256], other[256]; /* the ends of long names are enough */
    size_t file = strlen(path), name = strlen(object);
    path += file > 100 ? file - 100 : 0;
    object += name > 100 ? name - 100 : 0;
    snprintf(what, sizeof what, "reading the chunks of '%s:%s'", path, object);
    unsigned long long rows = worst->flat ? worst->rows * worst->columns : worst->rows;
    rows = rows < 1000 ? rows : 1000; /* no chunk is larger than its dataset */
    if (worst->flat)
        snprintf(other, sizeof other, "rewrite with h5repack -l %s:CHUNK=%llu", object, rows);
    else
        snprintf(other, sizeof other, "rewrite with h5repack -l %s:CHUNK=%llux%llu", object, rows,
                 (unsigned long long)worst->columns);
    return mpivf_memory_ask(r->ctx, what, need, other);
}

/* What HDF5 takes, and a band in each slot. */
static uint64_t
needed(uint64_t held, uint64_t band, int slots)
{
    uint64_t need;
    if (held == 0 && band == 0)
        return 0;
    if (__builtin_mul_overflow(band + 4096, (uint64_t)slots, &need) ||
        __builtin_add_overflow(need, held, &need))
        need = SIZE_MAX / 2; /* which cannot be had */
    return need;
}

uint64_t
mpivf_h5_reading_bytes(const struct mpivf_h5_layout *layout, size_t element)
{
    uint64_t held, band;
    (void)measure(layout, element, &held, &band);
    return needed(held, band, pieces_across(layout));
}

mpivf_status
mpivf_h5_slot_memory(struct mpivf_h5_reader *r)
{
    struct mpivf_context *ctx = r->ctx;
    r->slots = pieces_across(r->layout);
    uint64_t held, band;
    const struct mpivf_h5_leaf *worst = measure(r->layout, r->element, &held, &band);
    uint64_t need = needed(held, band, r->slots);
    mpivf_status status = need > 0 ? check_memory(r, worst, need) : MPIVF_OK;
    if (status)
        return status;
    status = mpivf_memory_reserve(ctx, "HDF5", held);
    r->reserved = status == MPIVF_OK ? held : 0;
    for (int i = 0; i < r->slots && band > 0 && status == MPIVF_OK; i++) {
        r->slot[i].band = mpivf_alloc(ctx, "a band of chunks", band, 1);
        status = r->slot[i].band ? MPIVF_OK : MPIVF_MEMORY;
    }
    return status;
}

/* ---- slots ---- */

void
mpivf_h5_slot_close(struct mpivf_h5_slot *slot)
{
    if (slot->dataset >= 0)
        H5Dclose(slot->dataset);
    if (slot->file >= 0)
        H5Fclose(slot->file);
    mpivf_file_drop(&slot->raw);
    slot->dataset = slot->file = -1;
    slot->open.leaf = NULL;
    slot->band_row = UINT64_MAX;
}

/* Open a leaf in a slot: its bytes, or by HDF5. */
mpivf_status
mpivf_h5_slot_open(struct mpivf_h5_reader *r, struct mpivf_h5_slot *slot,
                   const struct mpivf_h5_leaf *leaf)
{
    struct mpivf_context *ctx = r->ctx;
    const char *path = r->layout->name + leaf->path, *object = r->layout->name + leaf->object;
    mpivf_h5_slot_close(slot);
    mpivf_status status = MPIVF_OK;
    if (leaf->direct && r->par == NULL)
        status = mpivf_file_open(ctx, r->layout->name + leaf->holder, &slot->raw);
    if (status)
        return status;
    hid_t access = mpivf_h5_file_access();
    hid_t how = mpivf_h5_dataset_access(mpivf_h5_chunk_cache(leaf, r->element));
    if (r->par)
        H5Pset_fapl_mpio(access, r->par->comm, MPI_INFO_NULL);
    bool faulty = r->par == NULL && mpivf_fault(ctx, MPIVF_FAULT_HDF5_OPEN);
    slot->file = faulty ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    if (slot->file >= 0)
        slot->dataset = H5Dopen2(slot->file, object, how);
    if (slot->dataset < 0)
        status = mpivf_h5_fail(ctx, MPIVF_IO, "cannot open '%s:%s'", path, object);
    H5Pclose(how);
    H5Pclose(access);
    if (status == MPIVF_OK)
        slot->open = (struct mpivf_h5_open){leaf, slot->dataset, r->type, r->transfer, r->element};
    return status;
}

/* The slot of a leaf; the one longest unused gives way. */
mpivf_status
mpivf_h5_slot_find(struct mpivf_h5_reader *r, int64_t leaf, struct mpivf_h5_slot **found)
{
    const struct mpivf_h5_leaf *wanted = &r->layout->leaf[leaf];
    struct mpivf_h5_slot *oldest = &r->slot[0];
    for (int i = 0; i < r->slots; i++) {
        struct mpivf_h5_slot *slot = &r->slot[i];
        if (slot->open.leaf == wanted || slot->used < oldest->used)
            oldest = slot;
        if (slot->open.leaf == wanted)
            break;
    }
    *found = oldest;
    oldest->used = ++r->clock;
    return oldest->open.leaf == wanted ? MPIVF_OK : mpivf_h5_slot_open(r, oldest, wanted);
}

mpivf_status
mpivf_h5_slot_fail(struct mpivf_h5_reader *r, const struct mpivf_h5_slot *slot,
                   const struct mpivf_h5_rectangle *part)
{
    const struct mpivf_h5_leaf *leaf = slot->open.leaf;
    return mpivf_h5_fail(r->ctx, MPIVF_IO, "cannot read rows %llu..%llu of '%s:%s'",
                         (unsigned long long)part->row,
                         (unsigned long long)(part->row + part->rows - 1),
                         r->layout->name + leaf->path, r->layout->name + leaf->object);
}
