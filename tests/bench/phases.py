"""Every phase of a run with its rate, beside sgemm or cp on the same cores in the same run.

usage: MPIVF=build/test/mpivf SGEMM=build/test/tests/bench/bench_nearest phases.py [rows] [dim] [lists]
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROWS, DIM, LISTS = (int(x) for x in (sys.argv[1:] + ["500000", "128", "2048"][len(sys.argv) - 1:]))
PROGRAM, RANKS, QUERIES, PROBES = os.environ["MPIVF"], len(os.sched_getaffinity(0)), 1000, 16


def mpivf(*words):
    command = ["mpirun", "-n", str(RANKS), PROGRAM, *map(str, words), "--json", "--quiet", "--threads", "1"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def phases(path):
    report = json.load(open(path + ".report.json"))
    return {phase["phase"]: phase for phase in report["phases"]}


def total(phase, key):
    return sum(rank[key] for rank in phase["ranks"])


def timed(work):
    start = time.time()
    work()
    return time.time() - start


def copy_rate(path, to):
    seconds = timed(lambda: subprocess.run(["cp", path, to], check=True) and os.sync())
    os.remove(to)
    return os.path.getsize(path) / seconds / 1e6


def line(name, seconds, rate, unit, base, base_name):
    print(f"{name:10} {seconds:8.2f} s {rate:10.1f} {unit}  {rate / base:5.2f} of {base_name}")


def main(folder):
    out = subprocess.run([os.environ["SGEMM"], "0", str(RANKS)], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    sgemm = float(re.search(r"d=128 +sgemm +([0-9.]+)", out).group(1))
    vectors, index, truth, result = (os.path.join(folder, n) for n in ("v.h5", "i.h5", "t.h5", "r.h5"))
    seconds = timed(lambda: mpivf("generate", vectors, "--rows", ROWS, "--dim", DIM, "--queries", QUERIES))
    cp = copy_rate(vectors, os.path.join(folder, "copy"))
    print(f"{ROWS} x {DIM}, {LISTS} lists, {RANKS} ranks: sgemm {sgemm:.0f} GF/s, cp {cp:.0f} MB/s")
    line("generate", seconds, os.path.getsize(vectors) / seconds / 1e6, "MB/s", cp, "cp")

    built = mpivf("build", vectors, index, "--lists", LISTS)
    p = phases(index)
    flops = 2e-9 * DIM * LISTS
    line("sample", p["sample"]["seconds"], total(p["sample"], "bytes_read") / p["sample"]["seconds"] / 1e6,
         "MB/s", cp, "cp")
    line("k-means", p["k-means"]["seconds"],
         flops * built["sample"] * built["iterations"] / p["k-means"]["seconds"], "GF/s", sgemm, "sgemm")
    line("add", p["add"]["seconds"], flops * ROWS / p["add"]["seconds"], "GF/s", sgemm, "sgemm")
    line("merge", p["merge"]["seconds"], os.path.getsize(index) / p["merge"]["seconds"] / 1e6, "MB/s", cp, "cp")

    mpivf("truth", vectors, vectors, truth, "-k", 100)
    t = phases(truth)["truth"]["seconds"]
    line("truth", t, 2e-9 * DIM * ROWS * QUERIES / t, "GF/s", sgemm, "sgemm")
    found = mpivf("search", index, vectors, result, "-k", 10, "--probes", PROBES)
    line("search", found["seconds"],
         (2e-9 * DIM * found["pairs_scanned"] + flops * QUERIES) / found["seconds"], "GF/s", sgemm, "sgemm")
    seconds = timed(lambda: mpivf("verify", index))
    line("verify", seconds, os.path.getsize(index) / seconds / 1e6, "MB/s", cp, "cp")


folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "."))
try:
    main(folder)
finally:
    shutil.rmtree(folder)
