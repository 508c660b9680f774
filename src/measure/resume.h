/*
 * resume: going on from what earlier runs saved, and saving what this one has.
 *
 * Rank 0 looks through the folder and plans (measure/checkpoints.h); the checkpoints chosen are
 * shared out, rank r taking over those numbered i with i mod ranks = r, and goes on as if it had
 * compared their rows.
 */
#ifndef MPIVF_MEASURE_RESUME_H
#define MPIVF_MEASURE_RESUME_H

#include "measure/request.h"
#include "measure/checkpoints.h"
#include "measure/accumulator.h"

struct mpivf_resume {
    const struct mpivf_request *request;   /* not owned */
    struct mpivf_accumulator *accumulator; /* not owned */
    struct mpivf_checkpoints checkpoints;  /* in the folder, the same on every rank */
    struct mpivf_checkpoints_chosen
        chosen;                       /* the queries to go on with, and from which checkpoints */
    char mine[MPIVF_CHECKPOINT_NAME]; /* the last checkpoint this rank wrote; "" = none */
    double saved_at, saving;          /* seconds: when that was, and how long it took */
    uint64_t query_rowsum;            /* checksum of the queries of the pass */
};

/*
 * The shape of the passes of a request, but for capacity and batch: the budget decides those.
 * Local.
 */
struct mpivf_accumulator_shape
mpivf_resume_shape(const struct mpivf_request *request);

void
mpivf_resume_clear(struct mpivf_resume *resume);

/* The checkpoints that are there for a request. Local. */
mpivf_status
mpivf_resume_list(const struct mpivf_request *request, struct mpivf_checkpoints *checkpoints);

/*
 * Are the checkpoints that earlier runs saved of the rows and queries that there are now? Where
 * sizes and times of the files differ, those of a checkpoint are read again; MPIVF_MISMATCH when
 * one's have changed, or, with --force, all checkpoints are removed. To be called once, while there
 * is memory, before anything is planned. Collective, agreed.
 */
mpivf_status
mpivf_resume_recheck_all(struct mpivf_request *request, const struct mpivf_claim *claim,
                         struct mpivf_report *report);

/*
 * What the checkpoints leave to be done: rows over all passes, and passes; *reused rows are done.
 */
struct mpivf_ahead {
    uint64_t rows, passes, reused;
};

/* Collective, agreed. */
mpivf_status
mpivf_resume_look_all(struct mpivf_resume *resume, struct mpivf_ahead *ahead);

/*
 * Plan the queries from `first` on: chosen. Release with mpivf_resume_clear, also after failure.
 * Collective, agreed.
 */
mpivf_status
mpivf_resume_plan_all(struct mpivf_resume *resume, uint64_t first);

/*
 * The pass has begun: add what the chosen checkpoints know. *again when one was damaged (it is gone
 * now): plan again. Collective, agreed.
 */
mpivf_status
mpivf_resume_take_over_all(struct mpivf_resume *resume, bool *again);

/* Write what this rank has, if that is more than it wrote before. Local. */
mpivf_status
mpivf_resume_save(struct mpivf_resume *resume);

/* Is it time to? After `every` seconds; saving takes at most 2 % of the run time. Local. */
bool
mpivf_resume_due(const struct mpivf_resume *resume, double every);

/*
 * The pass has all rows: save that, instead of all other checkpoints of its queries. For rank 0.
 * Local.
 */
mpivf_status
mpivf_resume_complete(struct mpivf_resume *resume);

#endif
