#include "measure/terms.h"

/* The sign that a file's own order gives its distances; 0 when its rows are in no order. */
static int
sign_of(const struct mpivf_side *side, bool reversed)
{
    if (!side->known)
        return 0;
    uint64_t against = reversed ? side->rises : side->falls;
    return against == 0 ? 1 : (reversed ? side->falls : side->rises) == 0 ? -1 : 0;
}

static bool
out_of_order(const struct mpivf_side *side, int sign)
{
    return (sign > 0 && side->falls > 0) || (sign < 0 && side->rises > 0);
}

/*
 * Do equal distances of the truth mean that rows are as near? Not where somebody left them all
 * the same, nor where they are rounded to few digits.
 */
static bool
tells_ties(const struct mpivf_side *truth)
{
    const struct mpivf_h5_table *table = &truth->reader.distances;
    bool flat = truth->falls == 0 && truth->rises == 0 && truth->reader.k > 1;
    bool coarse = table->type == MPIVF_F64 && table->size < sizeof(float);
    return truth->known && (truth->reader.ours || (!flat && !coarse));
}

void
mpivf_terms_find(const struct mpivf_side *result, const struct mpivf_side *truth,
                 const struct mpivf_scale_evidence *evidence, struct mpivf_terms *terms)
{
    const struct mpivf_result_reader *mine = &result->reader, *right = &truth->reader;
    const enum mpivf_metric *metric = mine->metric_known    ? &mine->metric
                                      : right->metric_known ? &right->metric
                                                            : NULL;
    int scale = mpivf_scale_find(evidence, metric, mine->ours && right->ours);
    bool reverses = scale >= 0 && mpivf_scale_reverses(scale);
    int sign = mine->exact ? 1 : scale >= 0 ? sign_of(result, false) : 0;
    if (sign == 0)
        sign = sign_of(truth, reverses);
    bool linked = evidence->pairs > 0 || !result->known; /* else nothing says that they are */
    bool ties = !mine->exact && sign != 0 && linked && tells_ties(truth);
    *terms = (struct mpivf_terms){
        .counted = scale >= 0 && mine->exact ? MPIVF_EVAL_DISTANCES
                   : ties                    ? MPIVF_EVAL_TIES
                                             : MPIVF_EVAL_IDS,
        .scale = scale,
        .sign = sign,
        .sort_result = (mine->exact || scale >= 0) && out_of_order(result, sign),
        .sort_truth = scale >= 0 && out_of_order(truth, reverses ? -sign : sign),
    };
}

static void
say_why_ids(struct mpivf_context *ctx, const struct mpivf_terms *terms,
            const struct mpivf_side *result, const struct mpivf_side *truth,
            const struct mpivf_scale_evidence *evidence)
{
    const char *mine = result->reader.path, *right = truth->reader.path;
    uint64_t same = evidence->equal[MPIVF_SCALE_SAME];
    if (!truth->known)
        mpivf_note(ctx, "'%s' has no distances: only ids are counted", right);
    else if (evidence->pairs == 0)
        mpivf_note(ctx,
                   "no id of '%s' is in '%s' for the same query, which would show that their "
                   "distances compare: only ids are counted",
                   mine, right);
    else if (!result->reader.exact && !tells_ties(truth))
        mpivf_note(ctx,
                   "the distances of '%s' are all the same, or too coarse to tell which rows "
                   "are as near: only ids are counted",
                   right);
    else if (terms->scale >= 0)
        mpivf_note(ctx, "neither file is in an order of distance: only ids are counted");
    else if (same == evidence->pairs)
        mpivf_note(ctx,
                   "the ids in both files are at distances (0, 1...) that do not show by which "
                   "convention '%s' measures: only ids are counted",
                   right);
    else
        mpivf_note(ctx,
                   "%llu of the %llu ids in both files have another distance in '%s' than in "
                   "'%s', by no known convention (another base or metric, or rows far from 0 in "
                   "float32?): only ids are counted",
                   (unsigned long long)(evidence->pairs - same),
                   (unsigned long long)evidence->pairs, right, mine);
}

void
mpivf_terms_say(struct mpivf_context *ctx, const struct mpivf_terms *terms,
                const struct mpivf_side *result, const struct mpivf_side *truth,
                const struct mpivf_scale_evidence *evidence)
{
    const char *mine = result->reader.path, *right = truth->reader.path;
    bool mixed = truth->falls > 0 && truth->rises > 0;
    if (terms->counted == MPIVF_EVAL_IDS)
        say_why_ids(ctx, terms, result, truth, evidence);
    if (terms->counted == MPIVF_EVAL_IDS && mixed && !terms->sort_truth)
        mpivf_note(ctx, "rows of '%s' are in no order of distance: taken as they stand", right);
    if (terms->scale > MPIVF_SCALE_SAME)
        mpivf_note(ctx, "'%s' holds %s: converted to the distances of '%s'", right,
                   mpivf_scale_name(terms->scale), mine);
    if (terms->scale >= 0 && evidence->equal[terms->scale] < evidence->pairs)
        mpivf_note(ctx, "%llu of the %llu ids in both files have other distances",
                   (unsigned long long)(evidence->pairs - evidence->equal[terms->scale]),
                   (unsigned long long)evidence->pairs);
    if (terms->sort_result)
        mpivf_note(ctx, "rows of '%s' are not in the order of their distances: sorted", mine);
    if (terms->sort_truth)
        mpivf_note(ctx, "rows of '%s' are not in the order of their distances: sorted", right);
}
