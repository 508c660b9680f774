/*
 * resume: going on from what earlier runs kept, and keeping what this one has.
 *
 * Rank 0 looks through the folder and plans (measure/parts.h); the parts chosen are shared out,
 * rank r taking over those numbered i with i mod ranks = r, and goes on as if it had compared their
 * rows.
 */
#ifndef MPIVF_MEASURE_RESUME_H
#define MPIVF_MEASURE_RESUME_H

#include "measure/inquiry.h"
#include "measure/parts.h"
#include "measure/pass.h"

struct mpivf_resume {
    const struct mpivf_inquiry *inquiry; /* not owned */
    struct mpivf_pass *pass;             /* not owned */
    struct mpivf_parts parts;            /* in the folder, the same on every rank */
    struct mpivf_parts_chosen chosen;    /* the queries to go on with, and from which parts */
    char mine[MPIVF_PART_NAME];          /* the last part this rank wrote; "" = none */
    double kept_at, keeping;             /* seconds: when that was, and how long it took */
    uint64_t query_rowsum;               /* checksum of the queries of the pass */
};

/* The shape of the passes of an inquiry, but for capacity and batch: the budget decides those. */
struct mpivf_pass_shape
mpivf_resume_shape(const struct mpivf_inquiry *inquiry);

void
mpivf_resume_clear(struct mpivf_resume *resume);

/*
 * Are the parts that earlier runs kept of the rows and queries that there are now? Where sizes and
 * times of the files differ, those of a part are read again; MPIVF_MISMATCH when one's have
 * changed, or, with --force, all parts are removed. To be called once, while there is memory,
 * before anything is planned. Collective, agreed.
 */
mpivf_status
mpivf_resume_recheck_all(struct mpivf_inquiry *inquiry, const struct mpivf_claim *claim,
                         struct mpivf_report *report);

/* What the parts leave to be done: rows over all passes, and passes; *reused rows are done. */
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
 * The pass has begun: add what the chosen parts know. *again when one was damaged (it is gone now):
 * plan again. Collective, agreed.
 */
mpivf_status
mpivf_resume_take_over_all(struct mpivf_resume *resume, bool *again);

/* Write what this rank has, if that is more than it wrote before. Local. */
mpivf_status
mpivf_resume_keep(struct mpivf_resume *resume);

/* Is it time to? After `every` seconds; keeping takes a fiftieth of the time at most. */
bool
mpivf_resume_due(const struct mpivf_resume *resume, double every);

/* The pass has all rows: keep that, instead of all other parts of its queries. For rank 0. */
mpivf_status
mpivf_resume_complete(struct mpivf_resume *resume);

#endif
