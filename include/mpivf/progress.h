/*
 * progress: phases of a run, for people while it runs and for the report afterwards.
 *
 * A phase is opened and closed on every rank. Inside, the loop runs in rounds: each rank does
 * a bounded piece of work and then calls mpivf_round_all, which is the agreement, the count of
 * what is done, and the question whether anybody has more. So no trip count differs between
 * ranks and a failed rank stops all within a round.
 */
#ifndef MPIVF_PROGRESS_H
#define MPIVF_PROGRESS_H

#include <mpivf/api.h>
#include <mpivf/par.h>

MPIVF_API_BEGIN

enum { MPIVF_PHASES = 24 };

/* What one rank did in one phase. */
struct mpivf_phase {
    char name[24];
    double seconds;
    uint64_t rows;
    uint64_t bytes_read, bytes_written;
    uint64_t buffer_peak; /* bytes out of the budget */
    uint64_t resident_peak;
};

/* A number that a run came to, the same on every rank. */
struct mpivf_figure {
    const char *name; /* a constant */
    double value;
};

enum { MPIVF_FIGURES = 8 };

/* The phases of a run, in order, and its figures. Zero it to start; nothing to release. */
struct mpivf_report {
    struct mpivf_phase phase[MPIVF_PHASES];
    int phases;
    struct mpivf_figure figure[MPIVF_FIGURES];
    int figures;
};

/* Add a figure, while there is room. Local. */
void
mpivf_report_figure(struct mpivf_report *report, const char *name, double value);

struct mpivf_progress {
    const struct mpivf_par *par; /* not owned */
    struct mpivf_phase *phase;   /* the phase under way, in the report; not owned */
    const char *unit;            /* "rows" */
    uint64_t total, done;        /* over all ranks; total 0 = unknown */
    double start, shown;
    double work, peak; /* operations a unit, and a second at most over all ranks; 0 = not told */
};

/* Open a phase. `total` units of work over all ranks are expected. Local. */
void
mpivf_phase_begin(struct mpivf_progress *progress, const struct mpivf_par *par,
                  struct mpivf_report *report, const char *name, const char *unit, uint64_t total);

/*
 * End a round: agree on `status`, add up `done` units over the ranks, and tell in *more whether any
 * rank has work `left`. After 2 s rank 0 notes the rate and the time left. Collective, agreed.
 */
mpivf_status
mpivf_round_all(struct mpivf_progress *progress, mpivf_status status, uint64_t done, bool left,
                bool *more);

/* Close the phase and note its seconds if it took long. Local. */
void
mpivf_phase_end(struct mpivf_progress *progress);

MPIVF_API_END

#endif
