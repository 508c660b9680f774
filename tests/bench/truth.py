"""The rate of exact ground truth beside sgemm on the same cores in the same run.

usage: MPIVF=build/test/mpivf SGEMM=build/test/tests/bench/bench_nearest truth.py [rows] [queries] [dims]

2 * rows * queries * dim / seconds of the whole phase, reading from HDF5 included, k = 100. With
Debian's python3-faiss installed its flat index does the same, from memory.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROWS, QUERIES, DIMS = (sys.argv[1:] + ["500000", "10000", "128,256,784"][len(sys.argv) - 1:])
ROWS, QUERIES, DIMS = int(ROWS), int(QUERIES), [int(d) for d in DIMS.split(",")]
PROGRAM, CORES, K, TIMES = os.environ["MPIVF"], len(os.sched_getaffinity(0)), 100, 2
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def run(*words):
    out = subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE, text=True,
                         env=ENVIRONMENT)
    return out.stdout


def sgemm_rates():
    """d -> GF/s, and the processor core that OpenBLAS chose."""
    out = run(os.environ["SGEMM"], 0, CORES, *DIMS)
    core = re.search(r"\(([^,]+),", out).group(1)
    return {int(d): float(r) for d, r in re.findall(r"d=(\d+) +sgemm +([0-9.]+)", out)}, core


def truth_seconds(vectors, out):
    made = json.loads(run(PROGRAM, "truth", vectors, vectors, out, "-k", K, "--force", "--json", "--quiet",
                          "--threads", CORES))
    report = json.load(open(out + ".report.json"))
    seconds = [p["seconds"] for p in report["phases"] if p["phase"] == "truth"][0]
    return seconds, made


def faiss_seconds(vectors):
    try:
        import faiss
        import h5py
    except ImportError:
        return None
    with h5py.File(vectors, "r") as file:
        rows, queries = file["train"][:], file["test"][:]
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    start = time.time()
    index.search(queries, K)
    return time.time() - start


def main(folder):
    sgemm, core = sgemm_rates()
    vectors, out = os.path.join(folder, "v.h5"), os.path.join(folder, "t.h5")
    print(f"exact top-{K} of {ROWS} rows for {QUERIES} queries, {CORES} threads, OpenBLAS core {core}")
    for dim in DIMS:
        run(PROGRAM, "generate", vectors, "--rows", ROWS, "--dim", dim, "--queries", QUERIES, "--force",
            "--quiet")
        seconds, made = min((truth_seconds(vectors, out) for _ in range(TIMES)), key=lambda x: x[0])
        operations = 2e-9 * ROWS * QUERIES * dim
        print(f"d={dim:<5} sgemm {sgemm[dim]:6.1f} GF/s   truth {seconds:6.2f} s {operations / seconds:7.1f} GF/s "
              f"{operations / seconds / sgemm[dim]:5.2f} of sgemm   ({made['filter']}, "
              f"{made['computed_per_neighbour']:.1f} computed a neighbour)", flush=True)
        seconds = faiss_seconds(vectors)
        if seconds:
            print(f"        Faiss IndexFlatL2       {seconds:6.2f} s {operations / seconds:7.1f} GF/s "
                  f"{operations / seconds / sgemm[dim]:5.2f} of sgemm", flush=True)


folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "."))
try:
    main(folder)
finally:
    shutil.rmtree(folder)
