"""The rate of exact ground truth beside sgemm on the same cores in the same run.

usage: MPIVF=build/test/mpivf SGEMM=build/test/tests/bench/bench_nearest truth.py [rows] [queries] [dims]

2 * rows * queries * dim / seconds of the whole phase, reading from HDF5 included, k = 100, by one rank
with all threads and by as many ranks; then the distances computed a neighbour, for two k and fewer
rows. Then rows among themselves, and with MPIVF_DATA the same of Fashion-MNIST. With Debian's
python3-faiss installed its flat index does the same, from memory.
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
FASHION = os.path.join(os.environ.get("MPIVF_DATA", ""), "fashion-mnist-{}.npy")
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def run(*words):
    out = subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE, text=True,
                         env=ENVIRONMENT)
    return out.stdout


def sgemm_rates(dims):
    """d -> GF/s, and the processor core that OpenBLAS chose."""
    out = run(os.environ["SGEMM"], 0, CORES, *dims)
    core = re.search(r"\(([^,]+),", out).group(1)
    return {int(d): float(r) for d, r in re.findall(r"d=(\d+) +sgemm +([0-9.]+)", out)}, core


def truth(base, queries, out, k=K, ranks=1, times=TIMES):
    """Seconds of the phase, the best of some, and what was told. queries: None = the rows themselves."""
    launch = ["mpirun", "-n", ranks] if ranks > 1 else []
    asked = [base, queries, out] if queries else [base, out, "--self"]
    best = None
    for _ in range(times):
        made = json.loads(run(*launch, PROGRAM, "truth", *asked, "-k", k, "--force", "--json", "--quiet",
                              "--threads", CORES // ranks))
        report = json.load(open(out + ".report.json"))
        seconds = [p["seconds"] for p in report["phases"] if p["phase"] == "truth"][0]
        best = min(best or (seconds, made), (seconds, made), key=lambda x: x[0])
    return best


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


def line(name, operations, sgemm, seconds, made=None):
    told = made and f"   ({made['filter']}, {made['axes']} axes first, " \
        f"{made['computed_per_neighbour']:.2f} computed a neighbour)" or ""
    rate = operations / seconds
    print(f"    {name:<24}{seconds:7.2f} s {rate:7.1f} GF/s {rate / sgemm:5.2f} of sgemm{told}", flush=True)


def compare(base, queries, rows, asked, dim, sgemm, out):
    operations = 2e-9 * rows * asked * dim
    for ranks in sorted({1, CORES}):
        seconds, made = truth(base, queries, out, ranks=ranks)
        line(f"{ranks} ranks x {CORES // ranks} threads", operations, sgemm, seconds, made)


def among_themselves(base, rows, dim, sgemm, out):
    operations = 2e-9 * rows * rows * dim
    given, made = truth(base, base, out, k=15, times=1)
    line("k 15, rows as queries", operations, sgemm, given, made)
    seconds, made = truth(base, None, out, k=15, times=1)
    line("k 15, --self", operations, sgemm, seconds, made)
    print(f"    --self takes {seconds / given:.2f} of the time", flush=True)


def main(folder):
    real = os.path.exists(FASHION.format("train"))
    sgemm, core = sgemm_rates(sorted({*DIMS, 784}))
    vectors, out = os.path.join(folder, "v.h5"), os.path.join(folder, "t.h5")
    print(f"exact top-{K} of {ROWS} rows for {QUERIES} queries, {CORES} threads, OpenBLAS core {core}")
    for dim in DIMS:
        run(PROGRAM, "generate", vectors, "--rows", ROWS, "--dim", dim, "--queries", QUERIES, "--force",
            "--quiet")
        print(f"d={dim:<5} sgemm {sgemm[dim]:6.1f} GF/s")
        compare(vectors, vectors, ROWS, QUERIES, dim, sgemm[dim], out)
        seconds = faiss_seconds(vectors)
        if seconds:
            line("Faiss IndexFlatL2", 2e-9 * ROWS * QUERIES * dim, sgemm[dim], seconds)
        for rows in (ROWS // 10, ROWS // 5, ROWS):
            run(PROGRAM, "generate", vectors, "--rows", rows, "--dim", dim, "--queries", QUERIES // 10,
                "--force", "--quiet")
            told = {k: truth(vectors, vectors, out, k=k, times=1)[1]["computed_per_neighbour"]
                    for k in (10, 100)}
            print(f"    computed a neighbour of {rows:<8} rows " +
                  ", ".join(f"{each:.2f} (k {k})" for k, each in told.items()), flush=True)
    if real:
        print(f"Fashion-MNIST, d=784 sgemm {sgemm[784]:6.1f} GF/s")
        compare(FASHION.format("train"), FASHION.format("test"), 60000, 10000, 784, sgemm[784], out)
        among_themselves(FASHION.format("train"), 60000, 784, sgemm[784], out)
    run(PROGRAM, "generate", vectors, "--rows", 60000, "--dim", 784, "--queries", 1, "--force", "--quiet")
    print(f"60000 generated rows, d=784 sgemm {sgemm[784]:6.1f} GF/s")
    among_themselves(vectors, 60000, 784, sgemm[784], out)


folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "."))
try:
    main(folder)
finally:
    shutil.rmtree(folder)
