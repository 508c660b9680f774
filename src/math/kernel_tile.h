/*
 * The register-blocked comparison of kernel.h, compiled once for each element type of a set.
 * Before: TILE (its name), SUM (a vector of sums), START(x), DOT(sum, rows, one), TO_FLOAT(sum); of
 * the set: LANES, floats, words, ROWS x WIDE vectors of sums in registers, UNROLL, load_words,
 * load_floats, spread_word, spread_int, spread_float, less_product(c, a, b) = c - a b,
 * survive(v, limit) = the lanes where v > limit is not true.
 */
static void
TILE(const struct mpivf_panels *panels, struct mpivf_group *group)
{
    enum { COLUMNS = LANES * WIDE };
    size_t steps = panels->steps;
    size_t survivors[MPIVF_GROUP];
    memcpy(survivors, group->survivors, sizeof survivors);
    for (size_t at = 0; at < panels->panels * MPIVF_PANEL; at += COLUMNS) {
        const char *start = (const char *)panels->word +
                            (at / MPIVF_PANEL * MPIVF_PANEL * steps + at % MPIVF_PANEL) * 4;
        for (size_t first = 0; first < group->n; first += ROWS) {
            const char *word = start;
            /* sums begin where the offset of unsigned words puts them */
            const char *query[ROWS];
            SUM sum[ROWS][WIDE];
            UNROLL for (int r = 0; r < ROWS; r++)
            {
                query[r] = group->word[first + r];
                UNROLL for (int c = 0; c < WIDE; c++) sum[r][c] = START(group->start[first + r]);
            }
            /* products: WIDE vectors of rows against ROWS queries, a word of each at a time */
            for (size_t s = 0; s < steps; s++, word += 4 * MPIVF_PANEL) {
                words rows[WIDE];
                UNROLL for (int c = 0; c < WIDE; c++) rows[c] = load_words(word + 4 * LANES * c);
                UNROLL for (int r = 0; r < ROWS; r++)
                {
                    words one = broadcast_word(query[r] + 4 * s);
                    UNROLL for (int c = 0; c < WIDE; c++) DOT(sum[r][c], rows[c], one);
                }
            }
            /* what is lacking to a bound depends on the row, and on the query */
            floats term[WIDE], scale[WIDE], norm[WIDE], residual[WIDE];
            UNROLL for (int c = 0; c < WIDE; c++)
            {
                term[c] = load_floats(panels->term + at + LANES * c);
                scale[c] = load_floats(panels->scale + at + LANES * c);
                norm[c] = load_floats(panels->norm + at + LANES * c);
                residual[c] = load_floats(panels->residual + at + LANES * c);
            }
            UNROLL for (int r = 0; r < ROWS; r++)
            {
                size_t q = first + r;
                floats value[WIDE];
                uint64_t some = 0;
                UNROLL for (int c = 0; c < WIDE; c++)
                {
                    floats product = scale[c] * TO_FLOAT(sum[r][c]);
                    floats v = less_product(term[c], broadcast_float(group->scale[q]), product);
                    v = less_product(v, broadcast_float(group->per_norm[q]), norm[c]);
                    v = less_product(v, broadcast_float(group->per_residual[q]), residual[c]);
                    value[c] = v;
                    some |= (uint64_t)survive(v, broadcast_float(group->limit[q])) << (LANES * c);
                }
                /* rare: note which rows of the panel survive, and their values */
                if (__builtin_expect(some != 0, 0) && q < group->n) {
                    float all[COLUMNS];
                    memcpy(all, value, sizeof all);
                    uint32_t *survivor = group->survivor[q];
                    float *kept_value = group->value[q];
                    for (size_t n = survivors[q]; some; some &= some - 1) {
                        int j = __builtin_ctzll(some);
                        survivor[n] = (uint32_t)(at + (size_t)j);
                        kept_value[n++] = all[j];
                        survivors[q] = n;
                    }
                }
            }
        }
    }
    memcpy(group->survivors, survivors, sizeof survivors);
}
#undef TILE
#undef SUM
#undef START
#undef DOT
#undef TO_FLOAT
