"""Ways to lay out HDF5: what is built, shuffled and searched is what h5py reads, in bounded memory."""
import itertools
import json
import os
import re

import h5py
import numpy
import pytest

from program import SLOW, fails, neighbours, run, same, taken

SOAK = os.environ.get("MPIVF_SOAK") == "1"
ROWS, DIM = (40000, 96) if SOAK else (1500, 12)
MEMORY = 96 if SOAK else 64  # MiB; a chunk of everything may need more, and says so

CHUNKS = {"contiguous": None, "one row": (1, DIM), "tall": (ROWS // 8 + 3, DIM), "across": (250, DIM // 5),
          "huge": (ROWS, DIM)}
FILTERS = {"none": {}, "gzip": dict(compression="gzip", compression_opts=1),
           "shuffle": dict(compression="gzip", compression_opts=1, shuffle=True), "sum": dict(fletcher32=True)}
LINKS = ["none", "soft", "external", "group", "virtual"]
TYPES = ["<f2", "<f4", "<f8", "u1", "i1", ">f4", ">f2", ">f8"]
VERSIONS = ["earliest", "latest"]


def layouts(count):
    """So many of all ways, each value with each other as often as can be."""
    found, cycles = [], [itertools.cycle(values) for values in (FILTERS, LINKS, TYPES, (False, True, False))]
    for i in range(count):
        chunks = list(CHUNKS)[i % 5]
        how, link, kind, holes = (next(cycle) for cycle in cycles)
        if i % 5 == 4:
            next(cycles[1])  # or the same chunks would always have the same links
        if i % 20 == 19:
            next(cycles[0])
        if chunks == "contiguous":
            how, holes = "none", False
        found.append((VERSIONS[i // 5 % 2], chunks, how, link, kind, holes))
    return found


LAYOUTS = layouts(60 if SOAK else 6)


def names(layout):
    return "-".join(str(part).replace(" ", "_") for part in layout)


def write(folder, layout, rows):
    """The dataset in its own file, or behind another one. FILE[:OBJECT] and what h5py reads there."""
    version, chunks, how, link, _, holes = layout
    with h5py.File(folder / "real.h5", "w", libver=version) as file:
        data = file.create_dataset("g/real", rows.shape, rows.dtype, chunks=CHUNKS[chunks], fillvalue=7,
                                   **FILTERS[how])
        written = rows[:len(rows) // 3] if holes else rows
        data[:len(written)] = written
        file["train"] = h5py.SoftLink("/g/real")
    name = {"none": "real.h5:g/real", "soft": "real.h5", "external": "in.h5", "group": "in.h5:to/real",
            "virtual": "in.h5"}[link]
    with h5py.File(folder / "in.h5", "w", libver="latest") as file:
        file["before"] = numpy.ones(1000)
        if link == "external":
            file["train"] = h5py.ExternalLink("real.h5", "train")
        elif link == "group":
            file["to"] = h5py.ExternalLink("real.h5", "g")
        elif link == "virtual":  # two parts that do not keep to chunks
            cut = len(rows) // 3 + 11
            parts = h5py.VirtualLayout(rows.shape, rows.dtype)
            source = h5py.VirtualSource("real.h5", "train", rows.shape)
            parts[:cut], parts[cut:] = source[:cut], source[cut:]
            file.create_virtual_dataset("train", parts)
    path, _, object_ = name.partition(":")
    with h5py.File(folder / path) as file:
        want = file[object_ or "train"][:]
    return folder / name, want


def peak(out):
    with open(f"{out}.report.json") as file:
        phases = json.load(file)["phases"]
    return max(rank["resident_peak_bytes"] for phase in phases for rank in phase["ranks"])


def bounded(*words, out, ranks):
    """Run in MEMORY, or in what the refusal asks for; resident memory stays below."""
    memory = MEMORY if SLOW == 1 else max(MEMORY, taken() // 1024 + 8)  # sanitizers take most of it
    for _ in range(6):
        done = run(*words, "--force", "--quiet", "--memory", f"{memory}M", ranks=ranks, check=False)
        more = re.search(r"raise --memory(?: by ([0-9.]+) MiB)?", done.err)
        if more is None:
            break
        memory += int(float(more.group(1) or 15)) + 1
    assert done.code == 0, done.err
    assert SLOW > 1 or peak(out) <= memory << 20, f"{peak(out) / 2**20:.1f} MiB are resident of {memory}"


def nearest(rows, queries, k):
    """Ids by distance and id; whole numbers, so that float64 is exact."""
    rows, queries = rows.astype("f8"), queries.astype("f8")
    square = (rows ** 2).sum(axis=1) - 2 * queries @ rows.T + (queries ** 2).sum(axis=1)[:, None]
    return numpy.argsort(square, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("layout", LAYOUTS, ids=names)
def test_layouts_are_read_as_h5py_reads_them(tmp_path, layout):
    rows = numpy.random.default_rng(3).integers(0, 100, size=(ROWS, DIM)).astype(layout[4])
    source, want = write(tmp_path, layout, rows)
    queries = want[:: ROWS // 9].astype("f4")
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["test"] = queries
    truth = nearest(want, queries, 5)
    for ranks in (1, 3) if SOAK else (3,):
        out = tmp_path / "shuffled.h5"
        bounded("shuffle", source, out, out=out, ranks=ranks)
        with h5py.File(out) as file:
            assert (file[next(name for name in file if name != "id")][:] == want[file["id"][:]]).all()
        out = tmp_path / "index"
        bounded("build", source, out, "-l", 16, "--iterations", 1, out=out, ranks=ranks)
        with h5py.File(out) as file:
            assert (file["code"][:] == want[file["id"][:]]).all() and len(file["id"]) == len(want)
        out = tmp_path / "truth"
        bounded("truth", source, tmp_path / "q.h5", out, "-k", 5, out=out, ranks=ranks)
        assert (neighbours(out)[0] == truth).all()


@pytest.mark.skipif(not SOAK, reason="the same as above, and slow: the soak form runs it")
@pytest.mark.parametrize("layout", LAYOUTS[::3], ids=names)
def test_ranks_that_read_together_give_the_same(tmp_path, layout):
    rows = numpy.random.default_rng(3).integers(0, 100, size=(ROWS, DIM)).astype(layout[4])
    source, _ = write(tmp_path, layout, rows)
    run("shuffle", source, tmp_path / "alone")
    bounded("shuffle", source, tmp_path / "together", "--read", "collective", out=tmp_path / "together", ranks=3)
    assert same(tmp_path / "alone", tmp_path / "together")


def test_a_filter_that_is_not_at_hand_is_refused(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", data=numpy.ones((100, 4), "f4"), chunks=(10, 4), compression="lzf")
    fails("build", tmp_path / "in.h5", tmp_path / "x", "-l", 2, says="HDF5 filter 32000 (lzf), which is not "
          "installed", output=tmp_path / "x")
