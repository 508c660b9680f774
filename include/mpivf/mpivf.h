/*
 * mpivf: the whole library. A program that uses it starts with
 *
 *     struct mpivf_context ctx;
 *     struct mpivf_par par;
 *     mpivf_context_init(&ctx);
 *     mpivf_par_start_all(&par, &argc, &argv, &ctx);   (where MPI runs: mpivf_par_init_all)
 *
 * and calls, on every rank, what the other headers declare: mpivf_build_all, mpivf_truth_all,
 * mpivf_search_all... Outputs are declared first (mpivf/output.h). Arguments come in one order: the
 * ranks, inputs, outputs, options (mpivf_..._options_init has the defaults), the report, and last
 * the summary of what was done.
 */
#ifndef MPIVF_H
#define MPIVF_H

#include <mpivf/api.h>
#include <mpivf/build.h>
#include <mpivf/context.h>
#include <mpivf/eval.h>
#include <mpivf/generate.h>
#include <mpivf/index.h>
#include <mpivf/output.h>
#include <mpivf/par.h>
#include <mpivf/progress.h>
#include <mpivf/range.h>
#include <mpivf/report.h>
#include <mpivf/search.h>
#include <mpivf/shuffle.h>
#include <mpivf/source.h>
#include <mpivf/train.h>
#include <mpivf/truth.h>
#include <mpivf/type.h>
#include <mpivf/version.h>

#endif
