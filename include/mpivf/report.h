/* report: what each rank did in each phase, as JSON beside the output. */
#ifndef MPIVF_REPORT_H
#define MPIVF_REPORT_H

#include <mpivf/progress.h>

/*
 * Write OUTPUT.report.json: time, host, ranks, threads, budget, and for each phase and rank
 * seconds, rows, bytes and peaks; and the figures. `command` is the command line. What varies
 * between runs is here and nowhere else. Collective, agreed.
 */
mpivf_status
mpivf_report_write_all(const struct mpivf_par *par, const struct mpivf_report *report,
                       const char *output, const char *command);

#endif
