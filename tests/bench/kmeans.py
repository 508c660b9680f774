"""k-means against plain float Lloyd: clustered rows, real images where they are, unit vectors.

usage: MPIVF=build/test/mpivf KMEANS=build/test/tests/bench/bench_kmeans kmeans.py [wide]
wide: also 65,536 lists of 64 rows each, against our own flat Lloyd (half an hour).
"""
import os
import subprocess
import sys
import tempfile

PROGRAM, KMEANS, DATA = os.environ["MPIVF"], os.environ["KMEANS"], os.environ.get("MPIVF_DATA", "")


def bench(*words):
    subprocess.run([KMEANS, *map(str, words)], check=True)


def generate(folder, rows, dim, *more):
    path = os.path.join(folder, "rows.h5")
    subprocess.run([PROGRAM, "generate", path, "--rows", str(rows), "--dim", str(dim), "--quiet",
                    "--force", *map(str, more)], check=True, stdout=subprocess.DEVNULL)
    return path


with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as folder:
    bench(generate(folder, 1000000, 128), 4000)
    images = os.path.join(DATA, "fashion-mnist-train.npy")
    if os.path.exists(images):
        bench(images)
    else:
        print(f"{images} is not there: left out")
    bench("uniform", 500000, 256)
    if "wide" in sys.argv:
        bench(generate(folder, 64 * 65536, 32, "--clusters", 20000), 65536, 64 * 65536, "flat")
