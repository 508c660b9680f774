/*
 * The float64 sums of kernel.h, compiled once for each element type. Before: SQUARE and DOT (their
 * names), VALUE, LOAD8 (eight of them as lanes8).
 */
static double
SQUARE(const VALUE *a, const VALUE *b, size_t dim)
{
    lanes8 low = {0}, high = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        lanes8 x = LOAD8(a + i) - LOAD8(b + i), y = LOAD8(a + i + 8) - LOAD8(b + i + 8);
        low += x * x;
        high += y * y;
    }
    for (size_t lane = 0; i < dim; i++, lane++) {
        double x = (double)a[i] - (double)b[i];
        if (lane < 8)
            low[lane] += x * x;
        else
            high[lane - 8] += x * x;
    }
    return fold(low, high);
}

static double
DOT(const VALUE *a, const VALUE *b, size_t dim)
{
    lanes8 low = {0}, high = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        low += LOAD8(a + i) * LOAD8(b + i);
        high += LOAD8(a + i + 8) * LOAD8(b + i + 8);
    }
    for (size_t lane = 0; i < dim; i++, lane++) {
        double x = (double)a[i] * (double)b[i];
        if (lane < 8)
            low[lane] += x;
        else
            high[lane - 8] += x;
    }
    return fold(low, high);
}
#undef SQUARE
#undef DOT
#undef VALUE
#undef LOAD8
