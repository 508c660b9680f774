#!/bin/sh
# The main job as a new user runs it, with generated data and with a file of one's own.
# usage: sh tests/quickstart.sh
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

start=$(date +%s)
OUT="$folder/generated" sh jobs/quickstart.sh >"$folder/log" 2>&1 || {
    cat "$folder/log"
    exit 1
}
echo "quickstart took $(($(date +%s) - start)) s, compiling included where it was needed"
sed -n '/recall@10/,$p' "$folder/log"
awk '$1 == 128 && NF == 4 && $2 > 0.95 { found = 1 } END { exit !found }' "$folder/log"
for file in vectors index truth result-128; do
    [ -s "$folder/generated/$file.h5" ]
done

/usr/bin/python3 - "$folder/own.npy" <<'END'
import numpy, sys
numpy.save(sys.argv[1], numpy.random.default_rng(1).integers(0, 255, (3000, 24)).astype("u1"))
END
OUT="$folder/own" sh jobs/quickstart.sh "$folder/own.npy" >"$folder/log" 2>&1 || {
    cat "$folder/log"
    exit 1
}
awk '$1 == 128 && NF == 4 && $2 > 0.5 { found = 1 } END { exit !found }' "$folder/log"

# the job scripts run without Slurm, and agree with what the quickstart built
RANKS=3 sh jobs/build.sbatch "$folder/own.npy" "$folder/job.h5" --quiet >"$folder/log"
cmp "$folder/own/index.h5" "$folder/job.h5"
RANKS=1 THREADS=2 sh jobs/truth.sbatch "$folder/own.npy" "$folder/own.npy" "$folder/job-truth.h5" \
    -k 10 --queries 1000 --quiet >"$folder/log"
cmp "$folder/own/truth.h5" "$folder/job-truth.h5"
