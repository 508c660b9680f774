/*
 * observer: the truth of rows that somebody else reads.
 *
 * A build reads every row once; an observer compares the queries with the same rows and keeps what
 * it has (measure/resume.h) before the build makes a shard of them last. Afterwards mpivf_truth_all
 * finds all rows done and only has to write the result.
 */
#ifndef MPIVF_MEASURE_OBSERVER_H
#define MPIVF_MEASURE_OBSERVER_H

#include <mpivf/build.h>
#include <mpivf/truth.h>

struct mpivf_observer_state;

/*
 * Observe for the truth of `queries` over `base`, to be written to `files`; fills `observer` for
 * the build. All queries have to fit the budget at once: MPIVF_MEMORY. *state, owned by the caller,
 * ends with mpivf_observer_end_all, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_observer_begin_all(const struct mpivf_par *par, const char *base, const char *queries,
                         const struct mpivf_truth_files *files,
                         const struct mpivf_truth_options *options, struct mpivf_report *report,
                         struct mpivf_observer *observer, struct mpivf_observer_state **state);

/* NULL inside is fine. Collective, agreed. */
void
mpivf_observer_end_all(struct mpivf_observer_state **state);

#endif
