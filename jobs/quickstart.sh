#!/bin/sh
# From a bare machine to an index and its recall. usage: sh jobs/quickstart.sh [FILE[:OBJECT]]
# Installs what is missing, builds the program, and runs build, truth, search and eval on two
# ranks. Without a file it makes 200,000 vectors and 1,000 held-out queries; with one, the
# queries are 1,000 of its rows spread over the file.
# RANKS and OUT (a folder) may be set in the environment.
set -eu
input=${1:-}
case $input in
    "" | /*) ;;
    *) input=$PWD/$input ;;
esac
ranks=${RANKS:-2} some=
cd "$(dirname "$0")/.."
out=${OUT:-$PWD/quickstart-out}

sh jobs/setup.sh
. jobs/environment.sh
mkdir -p build "$out"
{ cmake -S . -B build -DMPIVF_TESTS=OFF && cmake --build build -j "$(nproc)"; } \
    >build/quickstart.log 2>&1 || {
    tail -n 30 build/quickstart.log >&2
    exit 1
}
mpivf="$PWD/build/mpivf"
run() { mpirun -n "$ranks" "$mpivf" "$@"; }

if [ -z "$input" ]; then
    echo "== generate: 200,000 x 96 clustered vectors and 1,000 queries"
    run generate "$out/vectors.h5" --rows 200000 --dim 96 --queries 1000 --force
    input=$out/vectors.h5
    queries=$out/vectors.h5
else
    echo "== queries: 1,000 rows of $input, evenly spread"
    queries=$input some="--queries 1000"
fi
echo "== build: one index file"
run build "$input" "$out/index.h5" --force
echo "== truth: exact neighbours"
run truth "$input" "$queries" "$out/truth.h5" -k 10 $some --force

echo "== search and eval: recall@10 by the lists a query looks into"
printf '%8s %10s %12s %10s\n' probes "recall@10" "tie-aware" "queries/s"
for probes in 1 2 4 8 16 32 64 128; do
    seconds=$(run search "$out/index.h5" "$queries" "$out/result-$probes.h5" -k 10 \
        $some --probes $probes --force --json --quiet | sed -n 's/.*"seconds": \([0-9.e-]*\).*/\1/p')
    "$mpivf" eval "$out/result-$probes.h5" "$out/truth.h5" |
        awk -v p=$probes -v s="$seconds" '$1 == 10 { r = $2; t = $3 } $2 == "queries," { q = $1 }
            END { printf "%8d %10s %12s %10.0f\n", p, r, t, q / s }'
done
"$mpivf" verify "$out/index.h5" >/dev/null && echo "== verify: every byte of the index is as it was written"

cat <<END
index    $out/index.h5   (h5dump -H shows its layout; mpivf info its numbers)
report   $out/index.h5.report.json
truth    $out/truth.h5
results  $out/result-*.h5
program  $mpivf
END
