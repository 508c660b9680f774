"""Every phase of a run with its rate, beside sgemm or cp on the same cores in the same run.

usage: MPIVF=build/test/mpivf SGEMM=build/test/tests/bench/bench_nearest phases.py [rows] [dim] [lists]

The last lines are the add phase alone, disk to disk, of a million rows x 128 into 4,096 lists with a
model trained on few rows; as root the files are not in memory when it starts. Best of three.
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
ADD_ROWS, ADD_DIM, ADD_LISTS, TIMES = 1000000, 128, 4096, 3


def mpivf(*words, ranks=RANKS, threads=1):
    command = ["mpirun", "-n", str(ranks), PROGRAM, *map(str, words), "--json", "--quiet", "--threads",
               str(threads)]
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


def sgemm_rate():
    """GF/s and the core: the fastest that this OpenBLAS has, which may not know the processor."""
    flags, found = open("/proc/cpuinfo").read(), []
    for core in (None, " avx2" in flags and "Haswell", " avx512f" in flags and "SkylakeX"):
        if core is False:
            continue
        env = dict(os.environ, **({"OPENBLAS_CORETYPE": core} if core else {}))
        out = subprocess.run([os.environ["SGEMM"], "0", str(RANKS)], check=True, env=env,
                             stdout=subprocess.PIPE, text=True).stdout
        rate, used = re.search(r"d=128 +sgemm +([0-9.]+) GF/s \(([^,]+),", out).groups()
        found.append((float(rate), used))
    return max(found)


def forget_files():
    """Have nothing of the disk in memory, if we may."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
    except OSError:
        return "warm"
    return "cold"


def add_alone(folder, sgemm):
    vectors, model, index = (os.path.join(folder, n) for n in ("a.h5", "a.model", "a.idx"))
    mpivf("generate", vectors, "--rows", ADD_ROWS, "--dim", ADD_DIM, "--queries", 1)
    mpivf("train", vectors, model, "--lists", ADD_LISTS, "--sample", 4 * ADD_LISTS, "--iterations", 2)
    for ranks, threads in ((RANKS, 1), (1, RANKS)):
        seconds = []
        for _ in range(TIMES):
            state = forget_files()
            mpivf("build", vectors, index, "--model", model, "--force", ranks=ranks, threads=threads)
            seconds.append(phases(index)["add"]["seconds"])
        best = min(seconds)
        line(f"add {ranks} x {threads}", best, 2e-9 * ADD_ROWS * ADD_LISTS * ADD_DIM / best, "GF/s", sgemm,
             f"sgemm ({state}, disk to disk, ranks x threads)")


def line(name, seconds, rate, unit, base, base_name):
    print(f"{name:10} {seconds:8.2f} s {rate:10.1f} {unit}  {rate / base:5.2f} of {base_name}")


def main(folder):
    sgemm, core = sgemm_rate()
    vectors, index, truth, result = (os.path.join(folder, n) for n in ("v.h5", "i.h5", "t.h5", "r.h5"))
    seconds = timed(lambda: mpivf("generate", vectors, "--rows", ROWS, "--dim", DIM, "--queries", QUERIES))
    cp = copy_rate(vectors, os.path.join(folder, "copy"))
    print(f"{ROWS} x {DIM}, {LISTS} lists, {RANKS} ranks: sgemm {sgemm:.0f} GF/s ({core}), cp {cp:.0f} MB/s")
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
    add_alone(folder, sgemm)


folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "."))
try:
    main(folder)
finally:
    shutil.rmtree(folder)
