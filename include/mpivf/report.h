/* report: what each rank did in each phase, as JSON beside the output. */
#ifndef MPIVF_REPORT_H
#define MPIVF_REPORT_H

#include <mpivf/api.h>
#include <mpivf/output.h>
#include <mpivf/progress.h>

MPIVF_API_BEGIN

/*
 * Write the report of an output: time, host, ranks, threads, budget, and for each phase and rank
 * seconds, rows, bytes and peaks; and the figures. `command` is the command line. What varies
 * between runs is here and nowhere else. Its first member, "format": "mpivf-report", is what a
 * report is told by. The report of a run that had nothing left to do does not replace that of the
 * one which did the work. Collective, agreed.
 */
mpivf_status
mpivf_report_write_all(const struct mpivf_par *par, const struct mpivf_report *report,
                       struct mpivf_output *output, const char *command);

MPIVF_API_END

#endif
