#include "math/bounds.h"
#include "math/centre.h"
#include "math/desk.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static const double U = 0x1p-24;

/* Rows without a larger value are no integers but all residual: their scale could underflow. */
static const float SMALLEST = 1e-18f;

static size_t
aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Where in `work` they are for a thread, and how far it is to the next thread. */
static size_t
lay_out(struct mpivf_desk *desk, char *work, size_t dim, size_t steps,
        const struct mpivf_projection *projection)
{
    size_t rows = projection ? MPIVF_PANEL : 1, at = 0;
    desk->work = (float *)(void *)(work + at);
    at += aligned(rows * dim * sizeof *desk->work);
    desk->word = work + at;
    at += aligned(steps * 4);
    desk->square = (double *)(void *)(work + at);
    at += aligned(rows * sizeof *desk->square);
    if (projection) {
        desk->along = (float *)(void *)(work + at);
        at += aligned(rows * projection->axes * sizeof *desk->along);
        desk->projected = (float *)(void *)(work + at);
        at += aligned(mpivf_projection_values(projection) * sizeof *desk->projected);
    }
    return at;
}

size_t
mpivf_desk_bytes(size_t dim, size_t steps, const struct mpivf_projection *projection)
{
    static char nowhere[1];
    struct mpivf_desk desk;
    return lay_out(&desk, nowhere, dim, steps, projection);
}

static struct mpivf_desk
desk_of(char *work, size_t dim, size_t steps, const struct mpivf_projection *projection)
{
    struct mpivf_desk desk = {NULL, NULL, NULL, NULL, NULL};
    size_t bytes = mpivf_desk_bytes(dim, steps, projection);
    (void)lay_out(&desk, work + bytes * (size_t)omp_get_thread_num(), dim, steps, projection);
    return desk;
}

/* Values of this length as integers in `word`, which is zeros. */
static struct mpivf_rounded
round_row(const struct mpivf_filter *filter, const float *row, size_t values, double norm,
          void *word)
{
    struct mpivf_rounded rounded = {.residual = norm, .norm = norm};
    float largest = norm * norm <= MPIVF_SINGLE_LARGEST ? mpivf_kernel()->largest(row, values) : 0;
    if (!(largest > SMALLEST))
        return rounded;
    double unit = filter->unit(largest, norm, values);
    float squares = filter->round(row, values, (float)(1 / unit), word);
    double residual = sqrt((double)squares * (1 + ((double)values / 16 + 32) * 2 * U));
    rounded.unit = (float)unit;
    rounded.residual = ((double)rounded.unit * residual + 5 * U * norm) * (1 + 0x1p-40);
    return rounded;
}

/* The words of some values, rounded where the filter is of integers. */
static struct mpivf_rounded
pack_row(const struct mpivf_filter *filter, const float *row, size_t values, double norm,
         size_t steps, void *word)
{
    if (filter->round) {
        memset(word, 0, steps * 4);
        return round_row(filter, row, values, norm, word);
    }
    if (word != row)
        memcpy(word, row, values * sizeof *row);
    return (struct mpivf_rounded){.unit = 1, .norm = norm};
}

/* The same of a row that is projected. Where that tells nothing its square is not-a-number. */
static struct mpivf_rounded
pack_projected(const struct mpivf_projection *projection, const struct mpivf_filter *filter,
               const struct mpivf_desk *desk, size_t i, size_t steps, void *word)
{
    double norm = mpivf_project_row(projection, desk->along + i * projection->axes, desk->square[i],
                                    desk->projected);
    struct mpivf_rounded rounded =
        pack_row(filter, desk->projected, mpivf_projection_values(projection), norm, steps, word);
    rounded.slack = projection->slack;
    desk->square[i] = isnan(norm) ? NAN : desk->square[i];
    return rounded;
}

static void
fill_query(struct mpivf_packed_queries *queries, size_t i, struct mpivf_raw centre,
           const struct mpivf_desk *desk, size_t place)
{
    static const struct mpivf_raw nowhere = {NULL, NULL};
    size_t dim = queries->dim;
    float *work = desk->work + place * dim;
    mpivf_centre_row(queries->metric, mpivf_raw_at(queries->raw, i * dim), dim,
                     queries->metric == MPIVF_L2 ? centre : nowhere, work);
    double square = mpivf_square(work, dim), norm = sqrt(square) * (1 + 0x1p-40);
    struct mpivf_rounded rounded = pack_row(queries->filter, work, dim, norm, queries->steps,
                                            queries->word + i * queries->steps * 4);
    mpivf_bounds_query(queries, i, work, centre, square, rounded);
    desk->square[place] = square;
}

/* What is looked at first of n queries from `start` on, which were filled. */
static void
fill_first_queries(struct mpivf_packed_queries *queries, size_t start, size_t n,
                   struct mpivf_raw centre, const struct mpivf_desk *desk)
{
    struct mpivf_packed_queries *first = queries->first;
    mpivf_project(queries->projection, desk->work, n, desk->along);
    for (size_t i = 0; i < n; i++) {
        struct mpivf_rounded rounded =
            pack_projected(queries->projection, first->filter, desk, i, first->steps,
                           first->word + (start + i) * first->steps * 4);
        mpivf_bounds_query(first, start + i, desk->work + i * queries->dim, centre, desk->square[i],
                           rounded);
    }
}

void
mpivf_packed_queries_fill_raw(struct mpivf_packed_queries *queries, struct mpivf_raw raw,
                              size_t rows, struct mpivf_raw centre)
{
    assert(rows <= queries->capacity && !raw.f64 == !centre.f64);
    int threads = rows > 1024 ? queries->threads : 1;
    size_t each = queries->first ? MPIVF_PANEL : 1;
    queries->raw = raw;
    queries->rows = rows;
    if (queries->first) {
        queries->first->raw = raw;
        queries->first->rows = rows;
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t start = 0; start < rows; start += each) {
        struct mpivf_desk desk =
            desk_of(queries->work, queries->dim, queries->steps, queries->projection);
        size_t n = rows - start < each ? rows - start : each;
        for (size_t i = 0; i < n; i++)
            fill_query(queries, start + i, centre, &desk, i);
        if (queries->first)
            fill_first_queries(queries, start, n, centre, &desk);
    }
}

/* Do a row's words lie one after the other, as integers? */
static bool
is_apart(const struct mpivf_packed_rows *packed)
{
    return packed->first != NULL;
}

/* The first word of a row, in its panel or where it lies by itself. */
static char *
word_at(const struct mpivf_packed_rows *packed, size_t row)
{
    size_t steps = packed->steps;
    return packed->word + 4 * (is_apart(packed)
                                   ? row * steps
                                   : row / MPIVF_PANEL * MPIVF_PANEL * steps + row % MPIVF_PANEL);
}

/* From a word of a row to the next. */
static size_t
stride_of(const struct mpivf_packed_rows *packed)
{
    return is_apart(packed) ? 4 : 4 * MPIVF_PANEL;
}

/* Put the words of a row where they lie. */
static void
place(struct mpivf_packed_rows *packed, size_t row, const char *word)
{
    char *to = word_at(packed, row);
    size_t stride = stride_of(packed);
    for (size_t s = 0; s < packed->steps; s++) {
        uint32_t one;
        memcpy(&one, word + 4 * s, sizeof one);
        one = (one ^ packed->filter->flip) & ~packed->filter->drop;
        memcpy(to + stride * s, &one, sizeof one);
    }
}

static void
fill_row(struct mpivf_packed_rows *packed, size_t i, struct mpivf_raw centre,
         const struct mpivf_desk *desk, size_t number)
{
    size_t dim = packed->dim;
    bool panels = packed->filter->panels;
    float *work = panels ? desk->work + number * dim : (float *)(void *)packed->word + i * dim;
    char *word = panels ? desk->word : (char *)work;
    mpivf_centre_row(packed->metric, mpivf_raw_at(packed->raw, i * dim), dim, centre, work);
    double square = mpivf_square(work, dim), norm = sqrt(square) * (1 + 0x1p-40);
    struct mpivf_rounded rounded = pack_row(packed->filter, work, dim, norm, packed->steps, word);
    if (panels)
        place(packed, i, word);
    mpivf_bounds_row(packed, i, square, rounded);
    desk->square[number] = square;
}

/* What is looked at first of n rows from `start` on, which were filled. */
static void
fill_first_rows(struct mpivf_packed_rows *packed, size_t start, size_t n,
                const struct mpivf_desk *desk)
{
    struct mpivf_packed_rows *first = packed->first;
    mpivf_project(packed->projection, desk->work, n, desk->along);
    for (size_t i = 0; i < n; i++) {
        struct mpivf_rounded rounded =
            pack_projected(packed->projection, first->filter, desk, i, first->steps, desk->word);
        place(first, start + i, desk->word);
        mpivf_bounds_row(first, start + i, desk->square[i], rounded);
    }
}

/* Columns that no query can want. */
static void
fill_padding(struct mpivf_packed_rows *packed, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char *at = word_at(packed, i);
        for (size_t s = 0; s < packed->steps && packed->filter->panels; s++)
            memset(at + stride_of(packed) * s, 0, 4);
        packed->term[i] = INFINITY;
        packed->scale[i] = packed->norm[i] = packed->residual[i] = 0;
    }
}

void
mpivf_packed_rows_fill_raw(struct mpivf_packed_rows *packed, struct mpivf_raw raw, size_t rows,
                           struct mpivf_raw centre, const int64_t *id, int64_t first)
{
    assert(rows <= packed->capacity);
    packed->raw = raw;
    packed->rows = rows;
    packed->id = id;
    packed->first_id = first;
    packed->subset = NULL;
    if (packed->first)
        packed->first->rows = rows;
    long panels = (long)mpivf_whole_panels(rows);
    int threads = panels > 64 ? packed->threads : 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long p = 0; p < panels; p++) {
        struct mpivf_desk desk =
            desk_of(packed->work, packed->dim, packed->steps, packed->projection);
        size_t start = (size_t)p * MPIVF_PANEL, end = start + MPIVF_PANEL;
        size_t n = rows - start < MPIVF_PANEL ? rows - start : MPIVF_PANEL;
        for (size_t i = 0; i < n; i++)
            fill_row(packed, start + i, centre, &desk, packed->first ? i : 0);
        fill_padding(packed, start + n, end);
        if (packed->first) {
            fill_first_rows(packed, start, n, &desk);
            fill_padding(packed->first, start + n, end);
        }
    }
}

void
mpivf_packed_rows_subset(struct mpivf_packed_rows *packed, const struct mpivf_packed_rows *from,
                         const uint32_t *subset, size_t n)
{
    assert(n <= packed->capacity && packed->filter == from->filter && packed->dim == from->dim);
    assert(packed->first == NULL && from->first == NULL);
    size_t steps = packed->steps, stride = 4 * MPIVF_PANEL;
    packed->raw = from->raw;
    packed->rows = n;
    packed->subset = subset;
    for (size_t i = 0; i < n; i++) {
        if (!packed->filter->panels) {
            memcpy(packed->word + i * steps * 4, from->word + subset[i] * steps * 4, steps * 4);
        } else {
            char *to = word_at(packed, i);
            const char *at = word_at(from, subset[i]);
            for (size_t s = 0; s < steps; s++)
                memcpy(to + s * stride, at + s * stride, 4);
        }
        packed->term[i] = from->term[subset[i]];
        packed->scale[i] = from->scale[subset[i]];
        packed->norm[i] = from->norm[subset[i]];
        packed->residual[i] = from->residual[subset[i]];
    }
    fill_padding(packed, n, mpivf_whole_panels(n) * MPIVF_PANEL);
}
