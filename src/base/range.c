#include <mpivf/range.h>

#include <stdlib.h>

static int
by_row(const void *a, const void *b)
{
    const struct mpivf_range *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

size_t
mpivf_range_normalise(struct mpivf_range *range, size_t count, uint64_t *overlap)
{
    size_t kept = 0;
    if (overlap)
        *overlap = UINT64_MAX;
    if (count > 1)
        qsort(range, count, sizeof *range, by_row);
    for (size_t i = 0; i < count; i++) {
        uint64_t end = range[i].row + range[i].rows;
        struct mpivf_range *last = kept > 0 ? &range[kept - 1] : NULL;
        if (range[i].rows == 0)
            continue;
        if (last == NULL || range[i].row > last->row + last->rows) {
            range[kept++] = range[i];
            continue;
        }
        if (overlap && range[i].row < last->row + last->rows && *overlap == UINT64_MAX)
            *overlap = range[i].row;
        if (end > last->row + last->rows)
            last->rows = end - last->row;
    }
    return kept;
}

uint64_t
mpivf_range_rows(const struct mpivf_range *range, size_t count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += range[i].rows;
    return rows;
}

uint64_t
mpivf_range_common(const struct mpivf_range *a, size_t a_count, const struct mpivf_range *b,
                   size_t b_count)
{
    uint64_t rows = 0;
    for (size_t i = 0, j = 0; i < a_count && j < b_count;) {
        uint64_t a_end = a[i].row + a[i].rows, b_end = b[j].row + b[j].rows;
        uint64_t first = a[i].row > b[j].row ? a[i].row : b[j].row;
        uint64_t end = a_end < b_end ? a_end : b_end;
        if (end > first)
            rows += end - first;
        if (a_end < b_end)
            i++;
        else
            j++;
    }
    return rows;
}

size_t
mpivf_range_gaps(const struct mpivf_range *range, size_t count, uint64_t rows,
                 struct mpivf_range *gap)
{
    size_t gaps = 0;
    uint64_t at = 0;
    for (size_t i = 0; i < count && at < rows; i++) {
        if (range[i].row > at)
            gap[gaps++] =
                (struct mpivf_range){at, (range[i].row < rows ? range[i].row : rows) - at};
        at = range[i].row + range[i].rows;
    }
    if (at < rows)
        gap[gaps++] = (struct mpivf_range){at, rows - at};
    return gaps;
}

size_t
mpivf_range_cut(const struct mpivf_range *range, size_t count, struct mpivf_range within,
                struct mpivf_range *part, size_t max)
{
    size_t low = 0, high = count, parts = 0;
    uint64_t within_end = within.row + within.rows;
    while (low < high) { /* the first range that ends beyond the start */
        size_t middle = low + (high - low) / 2;
        if (range[middle].row + range[middle].rows <= within.row)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && range[low].row < within_end && parts < max; low++) {
        uint64_t first = range[low].row > within.row ? range[low].row : within.row;
        uint64_t end = range[low].row + range[low].rows;
        part[parts++] = (struct mpivf_range){first, (end < within_end ? end : within_end) - first};
    }
    return parts;
}
