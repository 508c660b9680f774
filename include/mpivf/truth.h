/*
 * truth: the exact neighbours, to judge everything else by.
 *
 * The base is streamed once for each block of queries that the budget holds; memory does not
 * grow with it. The result is that of a float64 brute force over the rows as they are in the file,
 * of any type, with ties broken by id (math/prepare.h has the proof), whatever the ranks, threads
 * and memory. When base or queries are float64 both are held as that, else as float32.
 *
 * What is done is saved in OUT.work: each rank writes, now and then, the neighbours so far and
 * which rows they were chosen from. The same command again goes on from there with any number of
 * ranks. When files have another size or time by then, rows and queries of what was kept are read
 * again: MPIVF_INPUT if one changed.
 *
 * Beside /neighbors and /distances the result has, per query, /ties: how many rows lie exactly as
 * far as the k-th neighbour, itself included (0 when there are fewer than k rows), and /duplicates:
 * how many rows equal the query, bit for bit.
 */
#ifndef MPIVF_TRUTH_H
#define MPIVF_TRUTH_H

#include <mpivf/api.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>
#include <mpivf/source.h>
#include <mpivf/type.h>

MPIVF_API_BEGIN

enum { MPIVF_PREFIXES = 16 };

/* Further files with the same neighbours, as bits. */
enum { MPIVF_TRUTH_XBIN = 1, MPIVF_TRUTH_VECS = 2 };

struct mpivf_truth_options {
    uint64_t k;
    uint64_t queries; /* use so many, evenly spread; 0 = all */
    enum mpivf_metric metric;
    enum mpivf_bad_rows bad_rows;
    struct mpivf_reading reading;
    const char *ids;   /* FILE[:OBJECT] of one id a row; NULL: row numbers */
    bool self;         /* every row of the base asks, its own row left out */
    bool force;        /* start over where the work folder holds the work of another command */
    bool again;        /* outputs of this very truth may be there: then nothing is done */
    int also;          /* MPIVF_TRUTH_XBIN | MPIVF_TRUTH_VECS */
    double checkpoint; /* seconds between two times that progress is saved */
    /*
     * With prefixes, a truth for the first prefix[i] rows each, ascending, in one pass over the
     * rows: OUT's stem, "-", prefix_name[i], OUT's ending.
     */
    uint64_t prefix[MPIVF_PREFIXES];
    const char *prefix_name[MPIVF_PREFIXES];
    size_t prefixes;
};

/* The defaults, those of the command line. Local. */
void
mpivf_truth_options_init(struct mpivf_truth_options *options);

struct mpivf_truth_summary {
    uint64_t queries, rows, rejected, passes; /* passes over the base */
    uint64_t reused_rows; /* rows, over all passes, that earlier runs seem to have done */
    uint64_t duplicates;  /* queries that are rows of the base, bit for bit */
    double survivors;     /* canonical distances computed for each neighbour wanted */
    const char *filter;   /* rank 0's */
    uint64_t axes;        /* that it looks at first; 0 = it compares whole rows at once */
};

enum { MPIVF_TRUTH_FILES = 4 * MPIVF_PREFIXES };

/* Where it is written. */
struct mpivf_truth_files {
    const struct mpivf_outputs *outputs;            /* all of the command's; not owned */
    struct mpivf_output *output[MPIVF_TRUTH_FILES]; /* not owned: those of each prefix in turn */
    struct mpivf_output *work;                      /* not owned: the folder */
};

/*
 * Name the outputs of a truth at `out` with these options (their prefixes and `also`) and its work
 * folder. Local, for every rank.
 */
void
mpivf_truth_name(struct mpivf_outputs *outputs, const char *out,
                 const struct mpivf_truth_options *options, struct mpivf_truth_files *files);

/*
 * Write the k nearest base rows of each query to the outputs, whole or not at all. `queries` is
 * NULL with options->self. After success mpivf_truth_clean_all removes the work folder.
 * Collective, agreed.
 */
mpivf_status
mpivf_truth_all(const struct mpivf_par *par, const char *base, const char *queries,
                const struct mpivf_truth_files *files, const struct mpivf_truth_options *options,
                struct mpivf_report *report, struct mpivf_truth_summary *summary);

/*
 * Remove the work folder, once everything about the truth has been told. Until then the same truth
 * comes back at once with what is there. Collective, agreed.
 */
mpivf_status
mpivf_truth_clean_all(const struct mpivf_par *par, const struct mpivf_truth_files *files);

MPIVF_API_END

#endif
