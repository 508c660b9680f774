/*
 * watch: the truth of rows that somebody else reads.
 *
 * A build reads every row once; a watch compares the queries with the same rows and keeps what it
 * has (measure/resume.h) before the build makes a shard of them last. Afterwards mpivf_truth_all
 * finds all rows done and only has to write the result.
 */
#ifndef MPIVF_MEASURE_WATCH_H
#define MPIVF_MEASURE_WATCH_H

#include <mpivf/build.h>
#include <mpivf/truth.h>

struct mpivf_watch_state;

/*
 * Watch for the truth of `queries` over `base`, to be written to `files`; fills `watch` for the
 * build. All queries have to fit the budget at once: MPIVF_MEMORY. *state, owned by the caller,
 * ends with mpivf_watch_end_all, also after failure. Collective, agreed.
 */
mpivf_status
mpivf_watch_begin_all(const struct mpivf_par *par, const char *base, const char *queries,
                      const struct mpivf_truth_files *files,
                      const struct mpivf_truth_options *options, struct mpivf_report *report,
                      struct mpivf_watch *watch, struct mpivf_watch_state **state);

/* NULL inside is fine. Collective, agreed. */
void
mpivf_watch_end_all(struct mpivf_watch_state **state);

#endif
