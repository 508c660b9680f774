"""Every stored row is in the list of its nearest centroid, by float64 arithmetic of our own."""
import os

import h5py
import numpy
import pytest

from program import SLOW, data, run, save

BLOCK = 4096
SOAK = os.environ.get("MPIVF_SOAK") == "1"
CLOSE = 1e-9  # relative: nearer to each other than this, the products are not trusted


def lists_of(index):
    """The list of each row, by row number; each row once."""
    with h5py.File(index) as file:
        offset, ids = file["list_offset"][:], file["id"][:]
    assert numpy.array_equal(numpy.sort(ids), numpy.arange(len(ids)))
    lists = numpy.empty(len(ids), "i8")
    lists[ids] = numpy.repeat(numpy.arange(len(offset) - 1), numpy.diff(offset).astype("i8"))
    return lists


def nearest(rows, centroid, square):
    """argmin of squared distances: products first, differences where those cannot tell."""
    rows = rows.astype("f8")
    distance = (rows ** 2).sum(axis=1)[:, None] - 2 * rows @ centroid.T + square
    two = numpy.partition(distance, 1, axis=1)[:, :2]
    best = distance.argmin(axis=1)
    for i in numpy.flatnonzero(two[:, 1] - two[:, 0] <= CLOSE * (square.max() + two[:, 1])):
        near = numpy.flatnonzero(distance[i] <= two[i, 0] + 2 * CLOSE * (square.max() + two[i, 1]))
        best[i] = near[((centroid[near] - rows[i]) ** 2).sum(axis=1).argmin()]
    return best


def check(index, rows):
    with h5py.File(index) as file:
        centroid = file["centroid"][:].astype("f8")
    lists, square = lists_of(index), (centroid ** 2).sum(axis=1)
    assert len(lists) == len(rows)
    for first in range(0, len(rows), BLOCK):
        want = nearest(rows[first:first + BLOCK], centroid, square)
        wrong = numpy.flatnonzero(want != lists[first:first + BLOCK])
        assert len(wrong) == 0, f"row {first + wrong[0]} is in list {lists[first + wrong[0]]}, " \
                                f"its nearest is {want[wrong[0]]}"


@pytest.mark.skipif(SLOW > 1, reason="the same arithmetic as in the other build")
def test_every_image_is_in_its_nearest_list(tmp_path):
    images = numpy.load(data("fashion-mnist-train.npy"))
    source = save(tmp_path / "fashion.h5", train=images)
    run("build", source, tmp_path / "index", "--lists", 980, "--quiet", ranks=2,
        timeout=200)  # with portable loops
    check(tmp_path / "index", images)


@pytest.mark.skipif(not SOAK, reason="takes minutes: the soak form runs it")
def test_every_row_of_a_million_is_in_its_nearest_list(tmp_path):
    run("generate", tmp_path / "rows.h5", "--rows", 1000000, "--dim", 128, "--quiet", ranks=2)
    run("build", tmp_path / "rows.h5", tmp_path / "index", "--lists", 4096, "--quiet", ranks=2,
        timeout=600)
    with h5py.File(tmp_path / "rows.h5") as file:
        check(tmp_path / "index", file["train"])
