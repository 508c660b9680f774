/* Every instruction set against the definitions in kernel.h. */
#include "testing.h"

#include "math/kernel.h"

#include <float.h>
#include <math.h>

enum { MAX = 4096 };

#ifdef __aarch64__
static const char *const names[MPIVF_KERNELS] = {"portable", "neon"};
#else
static const char *const names[MPIVF_KERNELS] = {"portable", "avx2", "avx512", "vnni"};
#endif

static const size_t wide[] = {100, 127, 128, 768, 4096};
static float a[MAX + 1], b[MAX + 1];

/* Values of several sizes: ordinary, huge, tiny, everything at once. */
static void
fill_kind(int kind, float *x, uint64_t stream)
{
    static const double scale[] = {1, 1e30, 1e-30, 1e-42};
    fill_normal(x, MAX, stream, kind < 4 ? scale[kind] : 1, 0);
    for (size_t i = 0; i < MAX && kind == 4; i++)
        x[i] = ldexpf(x[i], (int)(draw(stream + 1, i) % 200) - 100);
}

static size_t
dim_at(size_t i)
{
    return i < 70 ? i + 1 : wide[i - 70];
}

static void
assert_same_bits(double x, double y, const char *set, size_t dim)
{
    if (memcmp(&x, &y, sizeof x) != 0)
        fail_msg("%s, %zu values: %a instead of %a", set, dim, x, y);
}

/* The definition: element i in lane i mod 16, lanes folded by halves. */
#define BY_DEFINITION(name, value)                                                                 \
    static double name(const value *x, const value *y, size_t dim, bool square)                    \
    {                                                                                              \
        double lane[16] = {0};                                                                     \
        for (size_t i = 0; i < dim; i++) {                                                         \
            double d = (double)x[i] - (double)y[i];                                                \
            lane[i % 16] += square ? d * d : (double)x[i] * (double)y[i];                          \
        }                                                                                          \
        for (size_t half = 8; half > 0; half /= 2)                                                 \
            for (size_t i = 0; i < half; i++)                                                      \
                lane[i] += lane[i + half];                                                         \
        return lane[0];                                                                            \
    }

BY_DEFINITION(by_definition, float)
BY_DEFINITION(by_definition64, double)

static void
same_bits_in_every_set(void **state)
{
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        fill_kind(kind, a, 1 + (uint64_t)kind);
        fill_kind(kind, b, 100 + (uint64_t)kind);
        for (int s = 0; s < MPIVF_KERNELS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            for (size_t i = 0; kernel && i < 70 + sizeof wide / sizeof wide[0]; i++) {
                size_t dim = dim_at(i), off = dim < MAX && i % 2; /* unaligned too */
                assert_same_bits(kernel->square(a + off, b, dim),
                                 by_definition(a + off, b, dim, true), kernel->name, dim);
                assert_same_bits(kernel->dot(a, b + off, dim),
                                 by_definition(a, b + off, dim, false), kernel->name, dim);
            }
        }
    }
}

/* Of float32 values the sums are those of float32 rows; of others, the definition's. */
static void
float64_has_the_same_bits(void **state)
{
    (void)state;
    static double x[MAX + 1], y[MAX + 1];
    for (int kind = 0; kind < 10; kind++) {
        fill_kind(kind % 5, a, 1 + (uint64_t)kind);
        fill_kind(kind % 5, b, 100 + (uint64_t)kind);
        for (size_t i = 0; i < MAX; i++) {
            x[i] = (double)a[i] * (kind < 5 ? 1 : 1 + 0x1p-40);
            y[i] = (double)b[i] * (kind < 5 ? 1 : 1e20);
        }
        for (int s = 0; s < MPIVF_KERNELS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            for (size_t i = 0; kernel && i < 70 + sizeof wide / sizeof wide[0]; i++) {
                size_t dim = dim_at(i), off = dim < MAX && i % 2;
                double square = kernel->square64(x + off, y, dim),
                       dot = kernel->dot64(x + off, y, dim);
                assert_same_bits(square, by_definition64(x + off, y, dim, true), kernel->name, dim);
                assert_same_bits(dot, by_definition64(x + off, y, dim, false), kernel->name, dim);
                if (kind < 5)
                    assert_same_bits(square, kernel->square(a + off, b, dim), kernel->name, dim);
                if (kind < 5)
                    assert_same_bits(dot, kernel->dot(a + off, b, dim), kernel->name, dim);
            }
        }
    }
}

static void
sums_are_right(void **state)
{
    (void)state;
    fill_normal(a, MAX, 7, 1, 0);
    fill_normal(b, MAX, 8, 1, 0);
    long double squares = 0, products = 0;
    for (size_t i = 0; i < MAX; i++) {
        long double d = (long double)a[i] - b[i];
        squares += d * d;
        products += (long double)a[i] * b[i];
    }
    const struct mpivf_kernel *kernel = mpivf_kernel();
    assert_true(fabsl(kernel->square(a, b, MAX) - squares) < 1e-12L * squares);
    assert_true(fabsl(kernel->dot(a, b, MAX) - products) < 1e-12L * squares);
}

static void
no_columns(void **state)
{
    (void)state;
    uint32_t survivor[1];
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
        if (kernel == NULL)
            continue;
        assert_int_equal(kernel->filter(a, b, a, 0, 2, 1, 0, survivor), 0);
        assert_true(kernel->dot(a, b, 0) == 0 && kernel->square(a, b, 0) == 0);
        assert_true(kernel->largest(a, 0) == 0);
        assert_true(kernel->round8(a, 0, 1, NULL) == 0 && kernel->round16(a, 0, 1, NULL) == 0);
    }
}

/* Columns with every kind of value that a comparison can meet. */
static void
fill_columns(float *product, float *term, float *norm, size_t n, uint64_t round)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, 3e38f, -3e38f};
    fill_normal(product, n, 10 * round, 1, 0);
    fill_normal(term, n, 10 * round + 1, 1, 1);
    fill_normal(norm, n, 10 * round + 2, 0.1, 1);
    for (size_t i = 0; i < n && round % 2; i++) {
        uint64_t which = draw(10 * round + 3, i) % 60;
        if (which < 18)
            (which % 3 == 0 ? product : which % 3 == 1 ? term : norm)[i] = odd[which / 3];
    }
}

static void
filter_is_its_definition(void **state)
{
    (void)state;
    enum { N = 1024 };
    static float product[N], term[N], norm[N];
    static const float limits[] = {-100, -2, 0, 3, 100, INFINITY, -INFINITY, NAN};
    uint32_t survivor[N], want[N];
    for (uint64_t round = 0; round < 200; round++) {
        size_t n = round < 130 ? round : N - round % 3, some = 0;
        float limit = limits[round % 8], scale = round % 3 ? 2 : 1;
        float per_norm = round % 16 == 15 ? NAN : 0.01f;
        fill_columns(product, term, norm, n, round);
        for (size_t i = 0; i < n; i++) {
            float scaled = scale * product[i], less = per_norm * norm[i];
            float difference = term[i] - scaled;
            difference = difference - less;
            if (!(difference > limit))
                want[some++] = (uint32_t)i;
        }
        for (int s = 0; s < MPIVF_KERNELS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            if (kernel == NULL)
                continue;
            assert_int_equal(
                kernel->filter(product, term, norm, n, scale, per_norm, limit, survivor), some);
            assert_memory_equal(survivor, want, some * sizeof *survivor);
        }
    }
}

static void
largest_is_its_definition(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 1000; round++) {
        size_t dim = dim_at(round % 75), off = dim < MAX && round % 2;
        fill_kind((int)(round % 5), a, round);
        if (round % 3 == 0) /* the largest at any place, of either sign */
            a[off + draw(round, MAX) % dim] = round % 2 ? -FLT_MAX : FLT_MAX;
        if (round % 50 == 7)
            for (size_t i = 0; i < MAX; i++)
                a[i] = -0.0f;
        float max = 0;
        for (size_t i = 0; i < dim; i++)
            max = fabsf(a[off + i]) > max ? fabsf(a[off + i]) : max;
        for (int s = 0; s < MPIVF_KERNELS; s++)
            if (mpivf_kernel_at(s))
                assert_true(mpivf_kernel_at(s)->largest(a + off, dim) == max);
    }
}

/* ---- rounding ---- */

/* Values within +-most / inverse; in odd rounds many are half-way between integers. */
static void
fill_to_round(float *x, size_t dim, uint64_t round, float inverse, double max)
{
    for (size_t i = 0; i < dim; i++) {
        double v = ((double)(draw(round, i) >> 11) * 0x1p-52 - 1) * max;
        if (round % 2)
            v = floor(v * 2) / 2;
        x[i] = (float)(v / inverse);
        while (fabsf(x[i] * inverse) > (float)max)
            x[i] = nextafterf(x[i], 0);
    }
    if (dim > 1)
        x[dim - 1] = (float)(max / inverse), x[dim / 2] = -x[dim - 1];
}

/* The definition; returns the sum in float64. */
static double
round_by_definition(const float *x, size_t dim, float inverse, int *out)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float v = x[i] * inverse;
        out[i] = (int)nearbyintf(v);
        sum += ((double)v - out[i]) * ((double)v - out[i]);
    }
    return sum;
}

static void
assert_sum(float got, double want, size_t dim, const char *set)
{
    double tolerance = ((double)dim / 16 + 8) * 0x1p-23 * want + 1e-37;
    if (!(fabs((double)got - want) <= tolerance))
        fail_msg("%s, %zu values: the residuals are %.9g instead of %.9g", set, dim, (double)got,
                 want);
}

static void
check_rounding(const struct mpivf_kernel *kernel, const float *x, size_t dim, float inverse,
               bool bytes)
{
    static int want[MAX];
    static int8_t small[MAX + 1];
    static int16_t large[MAX + 1];
    double sum = round_by_definition(x, dim, inverse, want);
    small[dim] = 77;
    large[dim] = 7777;
    float got =
        bytes ? kernel->round8(x, dim, inverse, small) : kernel->round16(x, dim, inverse, large);
    assert_sum(got, sum, dim, kernel->name);
    for (size_t i = 0; i < dim; i++)
        if ((bytes ? small[i] : large[i]) != want[i])
            fail_msg("%s: %.9g becomes %d", kernel->name, (double)(x[i] * inverse),
                     bytes ? small[i] : large[i]);
    assert_true(small[dim] == 77 && large[dim] == 7777);
}

static void
rounding_is_its_definition(void **state)
{
    (void)state;
    static const float inverses[] = {1, 1.0f / 3, 1e18f, 3e-17f, 0.5f};
    for (uint64_t round = 0; round < 750; round++) {
        size_t dim = dim_at(round % 75), off = dim < MAX && round % 2;
        float inverse = inverses[round % 5];
        for (int bytes = 0; bytes < 2; bytes++) {
            fill_to_round(a + off, dim, round, inverse, bytes ? 127 : 32766);
            for (int s = 0; s < MPIVF_KERNELS; s++)
                if (mpivf_kernel_at(s))
                    check_rounding(mpivf_kernel_at(s), a + off, dim, inverse, bytes);
        }
    }
}

/* ---- comparing ---- */

enum { PANELS = 3, STEPS = 300, BEFORE = 2, COLUMNS = PANELS * MPIVF_PANEL };

enum element { SEVENS, BYTES, SHORTS, FLOATS, ELEMENTS }; /* of 7 bits, of 8... */

/* Rows and queries to compare, and room for what is kept. */
struct work {
    enum element element;
    struct mpivf_panels panels;
    struct mpivf_group group;
    uint32_t row[PANELS * STEPS * MPIVF_PANEL], query[MPIVF_GROUP][STEPS];
    float term[COLUMNS], scale[COLUMNS], norm[COLUMNS], residual[COLUMNS], reach[COLUMNS];
    uint32_t survivor[MPIVF_GROUP][COLUMNS + BEFORE];
    float value[MPIVF_GROUP][COLUMNS + BEFORE];
};

/* What a value should be and how far off float32 may leave it. */
struct expected {
    double value, tolerance;
};

static mpivf_compare
compare_of(const struct mpivf_kernel *kernel, enum element element)
{
    return element == SEVENS   ? kernel->compare7
           : element == BYTES  ? kernel->compare8
           : element == SHORTS ? kernel->compare16
                               : kernel->compare32;
}

static uint32_t
word_at(enum element element, uint64_t stream, uint64_t i)
{
    static const uint32_t ends[FLOATS][2] = {
        {0x7f7f7f7fu, 0x01010101u}, {0x80008000u, 0x80008000u}, {0x80008000u, 0x80008000u}};
    if (element != FLOATS && draw(stream + 1, i / 8) % 5 == 0)
        return ends[element][draw(stream + 2, i / 8) % 2];
    if (element != FLOATS)
        return (uint32_t)draw(stream, i);
    float x = (float)mpivf_random_normal(stream, MPIVF_FOR_NOISE, i);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float
float_of(uint32_t word)
{
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* The same of a query: bytes of 7 bits are from -63 to 63 there, of a row from 0 to 127. */
static uint32_t
query_word_at(enum element element, uint64_t stream, uint64_t i)
{
    uint32_t word = word_at(element, stream, i);
    for (int j = 0; j < 32 && element == SEVENS; j += 8) {
        uint32_t byte = word >> j & 127;
        byte = (byte == 0 ? 127 : byte) - 64;
        word = (word & ~(255u << j)) | (byte & 255) << j;
    }
    return word;
}

/* Plain = values are the negative sums themselves. */
static void
fill_work(struct work *w, enum element element, size_t panels, size_t steps, size_t n,
          uint64_t round, bool plain)
{
    w->element = element;
    w->panels = (struct mpivf_panels){.word = w->row,
                                      .term = w->term,
                                      .scale = w->scale,
                                      .norm = w->norm,
                                      .residual = w->residual,
                                      .panels = panels,
                                      .steps = steps,
                                      .stride = steps};
    for (size_t i = 0; i < panels * steps * MPIVF_PANEL; i++)
        w->row[i] =
            word_at(element, 10 * round, i) & (element == SEVENS ? 0x7f7f7f7fu : UINT32_MAX);
    fill_normal(w->term, COLUMNS, 10 * round + 2, 3, 1);
    fill_normal(w->scale, COLUMNS, 10 * round + 3, 0.1, 1);
    fill_normal(w->norm, COLUMNS, 10 * round + 4, 0.1, 1);
    fill_normal(w->residual, COLUMNS, 10 * round + 5, 0.1, 1);
    for (size_t j = 0; j < COLUMNS && plain; j++) {
        w->term[j] = w->norm[j] = w->residual[j] = 0;
        w->scale[j] = 1;
    }
    struct mpivf_group *group = &w->group;
    *group = (struct mpivf_group){.n = n};
    double size = element <= BYTES ? 1e-4 : element == SHORTS ? 1e-9 : 1;
    for (size_t q = 0; q < MPIVF_GROUP; q++) {
        for (size_t s = 0; s < steps; s++)
            w->query[q][s] = query_word_at(element, 10 * round + 6 + q, s);
        group->word[q] = w->query[q < n ? q : n - 1];
        group->start[q] = element == FLOATS ? 0 : (int32_t)(draw(round, q) >> 45) - (1 << 18);
        group->scale[q] = (float)(plain ? 1 : size * (1 + (double)q / 3));
        group->per_norm[q] = plain ? 0 : 0.01f * (float)(q + 1);
        group->per_residual[q] = plain ? 0 : 0.02f * (float)(q + 1);
        group->limit[q] = INFINITY;
    }
}

/* Before a call: nothing is kept, or BEFORE columns of an earlier one. */
static void
begin(struct work *w, size_t before)
{
    for (size_t q = 0; q < MPIVF_GROUP; q++) {
        w->group.survivor[q] = w->survivor[q];
        w->group.value[q] = w->value[q];
        w->group.survivors[q] = before;
        memset(w->survivor[q], 0x55, sizeof w->survivor[q]);
        memset(w->value[q], 0x55, sizeof w->value[q]);
    }
}

static int64_t
sum_of(const struct work *w, size_t q, size_t column)
{
    int64_t sum = w->group.start[q];
    for (size_t s = 0; s < w->panels.steps; s++) {
        size_t place = column / MPIVF_PANEL * w->panels.steps + s;
        uint32_t row = w->row[place * MPIVF_PANEL + column % MPIVF_PANEL], query = w->query[q][s];
        for (int i = 0; i < 4 && w->element <= BYTES; i++)
            sum += (int64_t)(uint8_t)(row >> 8 * i) * (int8_t)(query >> 8 * i);
        for (int i = 0; i < 2 && w->element == SHORTS; i++)
            sum += (int64_t)(int16_t)(row >> 16 * i) * (int16_t)(query >> 16 * i);
    }
    return sum;
}

static struct expected
expect(const struct work *w, size_t q, size_t j)
{
    const struct mpivf_group *g = &w->group;
    double product = 0, size = 0;
    if (w->element != FLOATS)
        product = size = (int32_t)(uint32_t)(uint64_t)sum_of(w, q, j); /* sums wrap */
    for (size_t s = 0; s < w->panels.steps && w->element == FLOATS; s++) {
        size_t place = j / MPIVF_PANEL * w->panels.steps + s;
        double one = (double)float_of(w->row[place * MPIVF_PANEL + j % MPIVF_PANEL]) *
                     float_of(w->query[q][s]);
        product += one;
        size += fabs(one) * ((double)w->panels.steps + 1);
    }
    double part[] = {w->term[j], (double)g->scale[q] * ((double)w->scale[j] * product),
                     (double)g->per_norm[q] * w->norm[j],
                     (double)g->per_residual[q] * w->residual[j]};
    double all = fabs(part[0]) + fabs(g->scale[q] * ((double)w->scale[j] * size)) + fabs(part[1]) +
                 fabs(part[2]) + fabs(part[3]);
    return (struct expected){part[0] - part[1] - part[2] - part[3], 8 * 0x1p-24 * all};
}

/* What a value must not be above, for the query or for the row. */
static double
limit_of(const struct work *w, size_t q, size_t j)
{
    const struct mpivf_group *g = &w->group;
    if (w->panels.reach == NULL)
        return (double)g->limit[q];
    float reach = w->panels.reach[j] + g->across[q];
    if (isnan(reach) || isnan(g->limit[q]))
        return NAN;
    return (double)(reach > g->limit[q] ? reach : g->limit[q]);
}

/* Is every column kept or not as it should be, in order, and nothing else touched? */
static void
check_kept(const struct work *w, size_t before, const char *set)
{
    const struct mpivf_group *g = &w->group;
    for (size_t q = 0; q < MPIVF_GROUP; q++) {
        size_t at = before, columns = q < g->n ? w->panels.panels * MPIVF_PANEL : 0;
        for (size_t j = 0; j < columns; j++) {
            struct expected want = expect(w, q, j);
            bool survivors = at < g->survivors[q] && w->survivor[q][at] == j;
            double limit = limit_of(w, q, j);
            bool sure = !(fabs(want.value - limit) <= want.tolerance);
            if (sure && survivors != !(want.value > limit))
                fail_msg("%s, element %d: column %zu with %g is %s, limit %g", set, w->element, j,
                         want.value, survivors ? "kept" : "dropped", limit);
            double got = survivors ? w->value[q][at] : 0;
            if (survivors && isfinite(want.value) && !(fabs(got - want.value) <= want.tolerance))
                fail_msg("%s, element %d: %.9g instead of %.9g", set, w->element, got, want.value);
            if (survivors && !isfinite(want.value))
                assert_true(isnan(want.value) ? isnan(got) : got == want.value);
            assert_false(survivors && got > limit);
            at += survivors;
        }
        assert_int_equal(g->survivors[q], at);
        for (size_t i = 0; i < before; i++)
            assert_int_equal(w->survivor[q][i], 0x55555555);
    }
}

/* Told by bits: the same columns, ascending, and nothing beyond. */
static void
check_masks(struct work *w, const struct mpivf_kernel *kernel)
{
    static uint64_t mask[MPIVF_GROUP][PANELS];
    uint32_t column[COLUMNS];
    struct mpivf_group told = w->group;
    memset(mask, 0x55, sizeof mask);
    for (size_t q = 0; q < MPIVF_GROUP; q++)
        told.mask[q] = mask[q];
    compare_of(kernel, w->element)(&w->panels, &told);
    for (size_t q = 0; q < w->group.n; q++) {
        size_t n = kernel->columns(mask[q], w->panels.panels, column);
        size_t before = w->group.survivors[q] - n;
        assert_true(n <= w->group.survivors[q]);
        assert_memory_equal(column, w->survivor[q] + before, n * sizeof *column);
        assert_true(before == 0 || w->survivor[q][before - 1] == 0x55555555);
        assert_int_equal(told.survivors[q], w->group.survivors[q]);
        for (size_t p = w->panels.panels; p < PANELS; p++)
            assert_true(mask[q][p] == 0x5555555555555555);
    }
}

static void
check_compare(struct work *w, uint64_t round)
{
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
        if (kernel == NULL || compare_of(kernel, w->element) == NULL)
            continue;
        begin(w, round % 2 * BEFORE);
        compare_of(kernel, w->element)(&w->panels, &w->group);
        check_kept(w, round % 2 * BEFORE, kernel->name);
        check_masks(w, kernel);
    }
}

static size_t
steps_at(enum element element, uint64_t round)
{
    static const size_t many[] = {25, 48, 100, 257, STEPS};
    size_t steps = round % 15 < 10 ? 1 + round % 15 : many[round % 5];
    return element == SEVENS ? (steps + 1) / 2 * 2 : steps;
}

static void
sums_of_integers_are_exact(void **state)
{
    (void)state;
    struct work *w = room(1, sizeof *w);
    for (uint64_t round = 0; round < 240; round++) {
        enum element element = (enum element)(round / 15 % FLOATS);
        fill_work(w, element, 1 + round % PANELS, steps_at(element, round), 1 + round % 8, round,
                  true);
        for (int s = 0; s < MPIVF_KERNELS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            if (kernel == NULL || compare_of(kernel, element) == NULL)
                continue;
            begin(w, 0);
            compare_of(kernel, element)(&w->panels, &w->group);
            for (size_t q = 0; q < w->group.n; q++) {
                assert_int_equal(w->group.survivors[q], w->panels.panels * MPIVF_PANEL);
                for (size_t j = 0; j < w->group.survivors[q]; j++) {
                    int32_t sum = (int32_t)(uint32_t)(uint64_t)sum_of(w, q, j);
                    assert_int_equal(w->survivor[q][j], j);
                    if (w->value[q][j] != 0 - (float)sum)
                        fail_msg("%s, element %d, %zu steps: %.9g instead of %d", kernel->name,
                                 element, w->panels.steps, (double)w->value[q][j], -sum);
                }
            }
        }
    }
    free(w);
}

/* Rows reach as far as some of their values, where they do at all. */
static void
fill_reach(struct work *w, uint64_t round)
{
    static const float odd[] = {INFINITY, -FLT_MAX, FLT_MAX, NAN};
    w->panels.reach = round % 2 ? w->reach : NULL;
    for (size_t j = 0; j < w->panels.panels * MPIVF_PANEL; j++) {
        size_t q = draw(round + 3, j) % w->group.n;
        w->reach[j] = j % 16 < 4 ? odd[j % 16] : (float)expect(w, q, j).value;
    }
    for (size_t q = 0; q < MPIVF_GROUP; q++)
        w->group.across[q] = q == 5 ? NAN : q == 6 ? INFINITY : (float)q * 0.1f;
}

/* A limit in the middle of the values, so that some stay and some go. */
static float
middle(const struct work *w, size_t q, uint64_t round)
{
    size_t column = draw(round, 100 + q) % (w->panels.panels * MPIVF_PANEL);
    return (float)expect(w, q, column).value;
}

static void
comparing_is_its_definition(void **state)
{
    (void)state;
    static const float limits[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, 0};
    struct work *w = room(1, sizeof *w);
    for (uint64_t round = 0; round < 450; round++) {
        enum element element = (enum element)(round / 15 % ELEMENTS);
        fill_work(w, element, 1 + round % PANELS, steps_at(element, round), 1 + round / 3 % 8,
                  round, false);
        for (size_t q = 0; q < MPIVF_GROUP; q++)
            w->group.limit[q] = (q + round) % 3 ? middle(w, q < w->group.n ? q : 0, round)
                                                : limits[(round / 3 + q) % 6];
        fill_reach(w, round / 2);
        check_compare(w, round);
    }
    free(w);
}

/* Padding has an infinite term; a pair without bounds has not-a-number somewhere. */
static void
comparing_odd_values(void **state)
{
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY}, limits[] = {INFINITY, FLT_MAX, NAN, 0};
    struct work *w = room(1, sizeof *w);
    for (uint64_t round = 0; round < 270; round++) {
        enum element element = (enum element)(round / 15 % ELEMENTS);
        fill_work(w, element, 1 + round % PANELS, steps_at(element, round), 1 + round % 8, round,
                  false);
        float *part[] = {w->term, w->scale, w->norm, w->residual, w->term, w->term};
        for (size_t j = 0; j < COLUMNS; j++) {
            uint64_t which = draw(round + 1, j) % 24;
            if (which < 18)
                part[which / 3][j] = odd[which % 3];
            if (which >= 15 && which < 18) { /* as prepare pads */
                w->term[j] = INFINITY;
                w->scale[j] = w->norm[j] = w->residual[j] = 0;
            }
        }
        if (round % 3 == 0)
            w->group.per_norm[round % 8] = NAN;
        if (round % 7 == 0)
            w->group.per_residual[round % 5] = INFINITY;
        for (size_t q = 0; q < MPIVF_GROUP; q++)
            w->group.limit[q] = (q + round) % 5 < 4 ? limits[(q + round) % 5] : 2.5f;
        fill_reach(w, round / 2);
        check_compare(w, round);
    }
    free(w);
}

static mpivf_refine
refine_of(const struct mpivf_kernel *kernel, enum element element)
{
    return element == SEVENS  ? kernel->refine7
           : element == BYTES ? kernel->refine8
                              : kernel->refine16;
}

/* The columns of the panels as rows that lie one after the other. */
static void
lay_apart(const struct work *w, uint32_t *row)
{
    size_t steps = w->panels.steps;
    for (size_t j = 0; j < w->panels.panels * MPIVF_PANEL; j++)
        for (size_t s = 0; s < steps; s++)
            row[j * steps + s] =
                w->row[(j / MPIVF_PANEL * steps + s) * MPIVF_PANEL + j % MPIVF_PANEL];
}

static void
check_refine(struct work *w, mpivf_refine refine, const uint32_t *row, const char *set)
{
    struct mpivf_panels rows = w->panels;
    rows.word = row;
    begin(w, 0);
    for (size_t q = 0; q < w->group.n; q++) {
        for (uint32_t j = 0; j < rows.panels * MPIVF_PANEL; j++)
            w->survivor[q][j] = j;
        w->group.survivors[q] = rows.panels * MPIVF_PANEL;
        refine(&rows, &w->group, q);
    }
    check_kept(w, 0, set);
}

static void
pair_by_pair(void **state)
{
    (void)state;
    struct work *w = room(1, sizeof *w);
    uint32_t *row = room(COLUMNS * STEPS, sizeof *row);
    for (uint64_t round = 0; round < 90; round++) {
        enum element element = (enum element)(round % FLOATS);
        size_t steps = 2 * MPIVF_APART * (1 + round % 3);
        fill_work(w, element, 1 + round % PANELS, steps, 1 + round % 8, round, round % 4 == 0);
        lay_apart(w, row);
        for (size_t q = 0; q < MPIVF_GROUP; q++)
            w->group.limit[q] = round % 5 ? middle(w, q, round) : INFINITY;
        fill_reach(w, round / 2);
        for (int s = 0; s < MPIVF_KERNELS; s++) {
            const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
            if (kernel && refine_of(kernel, element))
                check_refine(w, refine_of(kernel, element), row, kernel->name);
        }
    }
    free(row);
    free(w);
}

static void
a_set_is_chosen(void **state)
{
    (void)state;
    bool known = false;
    for (int s = 0; s < MPIVF_KERNELS; s++) {
        const struct mpivf_kernel *kernel = mpivf_kernel_at(s);
        if (kernel == NULL)
            continue;
        assert_string_equal(kernel->name, names[s]);
        printf("%s runs here\n", names[s]);
        assert_true(kernel->compare7 && kernel->compare16 && kernel->compare32);
        known |= mpivf_kernel() == kernel;
    }
    assert_true(known);
    assert_non_null(mpivf_kernel_at(0));
    assert_non_null(mpivf_kernel_at(0)->compare8);
    assert_true(!mpivf_kernel_at(3) || mpivf_kernel_at(3)->compare8);
    assert_null(mpivf_kernel_at(MPIVF_KERNELS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("kernel: the same bits in every set", same_bits_in_every_set),
        TEST("kernel: float64 values have the same bits", float64_has_the_same_bits),
        TEST("kernel: sums are right", sums_are_right),
        TEST("kernel: nothing in, nothing out", no_columns),
        TEST("kernel: the filter is its definition", filter_is_its_definition),
        TEST("kernel: the largest value", largest_is_its_definition),
        TEST("kernel: rounding is its definition", rounding_is_its_definition),
        TEST("kernel: sums of integers are exact", sums_of_integers_are_exact),
        TEST("kernel: comparing is its definition", comparing_is_its_definition),
        TEST("kernel: comparing infinities and not-a-number", comparing_odd_values),
        TEST("kernel: pair by pair", pair_by_pair),
        TEST("kernel: a set is chosen", a_set_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
