/*
 * build: from rows to one index file.
 *
 * train (or take a model) -> each rank reads its shuffled slab, assigns, encodes and writes
 * sorted shards into a work folder -> tree merge -> INDEX. The same call again after a kill
 * goes on from the shards that are whole, with any number of ranks. When files of the source have
 * another size or time by then, the rows of those shards are read again, and MPIVF_INPUT says that
 * one changed.
 */
#ifndef MPIVF_BUILD_H
#define MPIVF_BUILD_H

#include <mpivf/api.h>
#include <mpivf/index.h>
#include <mpivf/output.h>
#include <mpivf/range.h>
#include <mpivf/train.h>

MPIVF_API_BEGIN

/* Rows as they were read, good or bad, before they are assigned. */
struct mpivf_observed {
    const void *row;                 /* [rows, dim], float64 or float32 as the observer has it */
    const int64_t *id;               /* [rows] */
    const struct mpivf_range *range; /* their places in the input, one range after the other */
    size_t ranges;
};

/*
 * Somebody who sees the rows that a build reads: `rows` for each batch of this rank, and `save`
 * before rows that were seen become a shard, after which they are not read again. Called on each
 * rank by itself.
 */
struct mpivf_observer {
    void *arg;
    bool f64; /* wants rows as float64 */
    mpivf_status (*rows)(void *arg, const struct mpivf_observed *seen);
    mpivf_status (*save)(void *arg);
};

struct mpivf_build_options {
    struct mpivf_train_options train; /* its lists, sample... are not used with a model */
    const char *model;                /* a trained model or an index; NULL = train */
    const char *ids; /* FILE[:OBJECT] of int64 ids, one a row; NULL = row numbers */
    enum mpivf_codec_kind codec;
    bool store;          /* keep the raw rows in /vector */
    bool force;          /* start over where the work folder holds the work of another command */
    int64_t part, parts; /* 1 <= part <= parts: add only this share of the rows; 0, 0 = all */
    uint64_t fan_in;     /* shards joined at once, >= 2 */
    struct mpivf_reading reading;
    const struct mpivf_observer *observer; /* NULL = nobody */
};

/* The defaults, those of the command line. Local. */
void
mpivf_build_options_init(struct mpivf_build_options *options);

/* Where a build or a merge writes, declared. */
struct mpivf_build_files {
    const struct mpivf_outputs *outputs; /* all of the command's; not owned */
    struct mpivf_output *index, *work;   /* not owned: the index, and the folder for shards */
};

/* What a build came to. */
struct mpivf_build_summary {
    struct mpivf_train_summary trained; /* lists = 0 when nothing was trained */
    struct mpivf_list_sizes list_sizes;
    uint64_t rows, rejected, reused_rows; /* reused: found in shards of an earlier run */
    uint64_t shards, rounds;
    uint64_t versions; /* of the source, among the shards merged; 0 = they do not tell */
    uint64_t bytes_written, index_bytes; /* shards and index together, the index alone */
    /*
     * The largest share of a rank's rows, of those that were read now, that would have to change
     * lists to look like the whole; and what it would be about with rows in random order.
     */
    double slab_difference, slab_difference_expected;
    /*
     * What the rows that were read now lost, against how far they lie from their centroids, from 0
     * to 1 (codec/loss.h): when they were float64, as they became float32; with a lossy codec, as
     * they became codes.
     */
    bool decoded, coded;
    double decode_error, code_error;
    uint64_t vanished;  /* values other than 0 that the codes make 0 */
    uint64_t too_large; /* rows rejected because float32 or the codec cannot hold them */
};

/*
 * Build the index of `input`. All memory comes out of the context's budget; shards are written
 * whenever it is used up. On failure the work folder keeps what is whole, and goes when there is
 * nothing in it; after success mpivf_build_clean_all removes it. Collective, agreed.
 */
mpivf_status
mpivf_build_all(const struct mpivf_par *par, const char *input,
                const struct mpivf_build_files *files, const struct mpivf_build_options *options,
                struct mpivf_report *report, struct mpivf_build_summary *summary);

/*
 * Remove the work folder, once the index is whole and everything about it has been told. Until
 * then the same build comes back at once with what is there. Collective, agreed.
 */
mpivf_status
mpivf_build_clean_all(const struct mpivf_par *par, const struct mpivf_build_files *files);

struct mpivf_merge_options {
    uint64_t fan_in;
    bool partial; /* allow rows of the source to be missing: the result is a shard */
};

/* The defaults, those of the command line. Local. */
void
mpivf_merge_options_init(struct mpivf_merge_options *options);

/*
 * Join shards (or indexes) of one model and one source; the inputs stay. Every row
 * of the source must be in exactly one, unless `partial`. MPIVF_MISMATCH for a foreign shard,
 * MPIVF_INPUT for missing or doubled rows, MPIVF_CORRUPT for a damaged one. Shards of several
 * versions of the source, by size and time, are noted on rank 0: what parts saw may be copies, or
 * rows that were corrected in between. Collective, agreed.
 */
mpivf_status
mpivf_merge_files_all(const struct mpivf_par *par, const char *const *input, uint64_t inputs,
                      const struct mpivf_build_files *files,
                      const struct mpivf_merge_options *options, struct mpivf_report *report,
                      struct mpivf_build_summary *summary);

MPIVF_API_END

#endif
