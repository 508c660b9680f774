/*
 * The comparison of kernel.h pair by pair, compiled once for each element type of a set. Before:
 * PAIRS (its name), AT_ONCE vectors that DOT(sum, row, one) takes, row[AT_ONCE] and one[AT_ONCE];
 * add_words(x), the sum of a vector's words; of the set what kernel_tile.h asks for.
 */
static void
PAIRS(const struct mpivf_panels *rows, struct mpivf_group *group, size_t q)
{
    enum { TOGETHER = 4, STEP = 4 * LANES };
    uint32_t *survivor = group->survivor[q];
    const char *query = group->word[q];
    size_t n = group->survivors[q], bytes = 4 * rows->steps, left = 0;
    for (size_t i = 0; i < n; i += TOGETHER) {
        const char *word[TOGETHER];
        words sum[TOGETHER];
        UNROLL for (int r = 0; r < TOGETHER; r++)
        {
            size_t j = i + (size_t)r < n ? i + (size_t)r : n - 1;
            word[r] = (const char *)rows->word + bytes * survivor[j];
            sum[r] = broadcast_int(0);
        }
        /* products: each vector of the query against one of each row */
        for (size_t at = 0; at < bytes; at += STEP * AT_ONCE) {
            words one[AT_ONCE], row[AT_ONCE];
            UNROLL for (int t = 0; t < AT_ONCE; t++) one[t] = load_words(query + at + STEP * t);
            UNROLL for (int r = 0; r < TOGETHER; r++)
            {
                UNROLL for (int t = 0; t < AT_ONCE; t++) row[t] =
                    load_words(word[r] + at + STEP * t);
                DOT(sum[r], row, one);
            }
        }
        /* which of them stay, and their values */
        for (size_t r = 0; r < TOGETHER && i + r < n; r++) {
            uint32_t j = survivor[i + r];
            int32_t all = (int32_t)((uint32_t)group->start[q] + (uint32_t)add_words(sum[r]));
            float product = rows->scale[j] * (float)all;
            float value = rows->term[j] - group->scale[q] * product -
                          group->per_norm[q] * rows->norm[j] -
                          group->per_residual[q] * rows->residual[j];
            survivor[left] = j;
            group->value[q][left] = value;
            left += !(value > group->limit[q]) ||
                    (rows->reach && !(value > rows->reach[j] + group->across[q]));
        }
    }
    group->survivors[q] = left;
}
#undef PAIRS
#undef AT_ONCE
#undef DOT
