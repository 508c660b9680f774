/*
 * The register-blocked comparison of kernel.h, compiled once for each element type of a set.
 * Before: TILE (its name), SUM (a vector of sums), START(x), TO_FLOAT(sum), HIGH x BROAD vectors of
 * sums in registers, AT_ONCE words that DOT(sum, rows, c, one) takes, rows[AT_ONCE][BROAD] and
 * one[AT_ONCE]; of the set: LANES, floats, words, UNROLL, load_words, load_floats, broadcast_word,
 * broadcast_int, broadcast_float, less_product(c, a, b) = c - a b, survive(v, limit) = the lanes
 * where v > limit is not true.
 */
static void
TILE(const struct mpivf_panels *panels, struct mpivf_group *group)
{
    enum { COLUMNS = LANES * BROAD };
    typedef SUM kept __attribute__((aligned(4), may_alias));
#define sum_at(r, c) (4 * ((first + (size_t)(r)) * columns + at + LANES * (size_t)(c)))
    size_t steps = panels->steps, columns = panels->panels * MPIVF_PANEL;
    const float *reach = panels->reach;
    const bool masks = group->mask[0] != NULL;
    size_t survivors[MPIVF_GROUP];
    memcpy(survivors, group->survivors, sizeof survivors);
    for (size_t at = 0; at < columns; at += COLUMNS) {
        const char *start =
            (const char *)panels->word +
            (at / MPIVF_PANEL * MPIVF_PANEL * panels->stride + at % MPIVF_PANEL) * 4;
        for (size_t first = 0; first < group->n; first += HIGH) {
            const char *word = start;
            /* sums begin where the offset of unsigned words puts them */
            const char *query[HIGH];
            SUM sum[HIGH][BROAD];
            UNROLL for (int r = 0; r < HIGH; r++)
            {
                query[r] = group->word[first + r];
                UNROLL for (int c = 0; c < BROAD; c++) sum[r][c] = START(group->start[first + r]);
            }
            if (group->goes_on) {
                UNROLL for (int r = 0; r < HIGH; r++)
                {
                    UNROLL for (int c = 0; c < BROAD; c++) sum[r][c] =
                        *(kept *)(void *)(group->sums + sum_at(r, c));
                }
            }
            /* products: BROAD vectors of rows against HIGH queries, AT_ONCE words of each */
            for (size_t s = 0; s < steps; s += AT_ONCE, word += 4 * MPIVF_PANEL * AT_ONCE) {
                words rows[AT_ONCE][BROAD];
                UNROLL for (int t = 0; t < AT_ONCE; t++)
                {
                    UNROLL for (int c = 0; c < BROAD; c++) rows[t][c] =
                        load_words(word + 4 * (MPIVF_PANEL * t + LANES * c));
                }
                UNROLL for (int r = 0; r < HIGH; r++)
                {
                    words one[AT_ONCE];
                    UNROLL for (int t = 0; t < AT_ONCE; t++) one[t] =
                        broadcast_word(query[r] + 4 * (s + (size_t)t));
                    UNROLL for (int c = 0; c < BROAD; c++) DOT(sum[r][c], rows, c, one);
                }
            }
            /* the next part of the rows goes on from here */
            if (group->left) {
                UNROLL for (int r = 0; r < HIGH; r++)
                {
                    UNROLL for (int c = 0; c < BROAD; c++) *
                        (kept *)(void *)(group->sums + sum_at(r, c)) = sum[r][c];
                }
                continue;
            }
            /* what is lacking to a bound depends on the row, and on the query */
            floats term[BROAD], scale[BROAD], norm[BROAD], residual[BROAD];
            UNROLL for (int c = 0; c < BROAD; c++)
            {
                term[c] = load_floats(panels->term + at + LANES * c);
                scale[c] = load_floats(panels->scale + at + LANES * c);
                norm[c] = load_floats(panels->norm + at + LANES * c);
                residual[c] = load_floats(panels->residual + at + LANES * c);
            }
            UNROLL for (int r = 0; r < HIGH; r++)
            {
                size_t q = first + r;
                floats value[BROAD];
                uint64_t some = 0;
                UNROLL for (int c = 0; c < BROAD; c++)
                {
                    floats product = scale[c] * TO_FLOAT(sum[r][c]);
                    floats v = less_product(term[c], broadcast_float(group->scale[q]), product);
                    v = less_product(v, broadcast_float(group->per_norm[q]), norm[c]);
                    v = less_product(v, broadcast_float(group->per_residual[q]), residual[c]);
                    value[c] = v;
                    some |= (uint64_t)survive(v, broadcast_float(group->limit[q])) << (LANES * c);
                    if (reach)
                        some |= (uint64_t)survive(v, load_floats(reach + at + LANES * c) +
                                                         broadcast_float(group->across[q]))
                                << (LANES * c);
                }
                /* where many are left, bits alone: rows and values come with the second look */
                if (masks) {
                    note_bits(&group->mask[q][at / MPIVF_PANEL], at % MPIVF_PANEL, some);
                    continue;
                }
                /* rare: note which rows of the panel survive, and their values */
                if (__builtin_expect(some != 0, 0) && q < group->n) {
                    float all[COLUMNS];
                    memcpy(all, value, sizeof all);
                    survivors[q] = note_rows(group, q, survivors[q], at, some, all);
                }
            }
        }
    }
    memcpy(group->survivors, survivors, sizeof survivors);
}
#undef TILE
#undef sum_at
#undef SUM
#undef START
#undef DOT
#undef TO_FLOAT
#undef HIGH
#undef BROAD
#undef AT_ONCE
