"""A shuffle's time over that of cp, for an input 8 times all the memory it is given.

usage: MPIVF=build/test/mpivf shuffle.py [MiB a rank] [dims]

Both times end when the disk has the file; the input is in the page cache as far as it goes. Best of
three. Peak is the largest resident set of a rank, whose budget is the MiB.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

MEMORY, DIMS = sys.argv[1:] + ["96", "16,128,1024"][len(sys.argv) - 1:]
MEMORY, DIMS = int(MEMORY), [int(dim) for dim in DIMS.split(",")]
PROGRAM, RANKS, TIMES = os.environ["MPIVF"], len(os.sched_getaffinity(0)), 3


def mpivf(*words):
    command = ["mpirun", "-n", RANKS, PROGRAM, *words, "--json", "--quiet", "--threads", 1]
    command = [str(word) for word in command]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def best(path, work):
    """The least seconds of making `path` anew."""
    seconds = []
    for _ in range(TIMES):
        if os.path.exists(path):
            os.remove(path)
        os.sync()
        start = time.time()
        work()
        seconds.append(time.time() - start)
    return min(seconds)


def copy(path, to):
    subprocess.run(["cp", path, to], check=True)
    subprocess.run(["sync", to], check=True)


def main(folder):
    vectors, out = os.path.join(folder, "v.h5"), os.path.join(folder, "s.h5")
    for dim in DIMS:
        rows = 8 * RANKS * (MEMORY << 20) // (4 * dim)
        mpivf("generate", vectors, "--rows", rows, "--dim", dim, "--queries", 1, "--force")
        cp = best(out, lambda: copy(vectors, out))
        made = {}
        words = ("shuffle", vectors, out, "--memory", f"{MEMORY}M")
        seconds = best(out, lambda: made.update(mpivf(*words)))
        phases = json.load(open(out + ".report.json"))["phases"]
        peak = max(rank["resident_peak_bytes"] for phase in phases for rank in phase["ranks"])
        each = ", ".join(f"{phase['phase']} {phase['seconds']:.2f} s" for phase in phases)
        print(f"d={dim:<5} {os.path.getsize(vectors) / 1e6:6.0f} MB  cp {cp:6.2f} s  "
              f"shuffle {seconds:6.2f} s {seconds / cp:5.2f} of cp  ({each} of the last; {RANKS} ranks, "
              f"{made['buckets']} buckets, peak {peak / 2**20:.0f} of {MEMORY} MiB)", flush=True)


folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "."))
try:
    main(folder)
finally:
    shutil.rmtree(folder)
