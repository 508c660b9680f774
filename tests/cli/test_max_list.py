"""Lists that would be too large are cut: --max-list."""
import re

import h5py
import numpy
import pytest

from program import memory, run, same, save

ROWS, DIM, LISTS = 12000, 8, 40


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Half of the rows in a hundredth of the room: k-means makes large lists of them."""
    draw = numpy.random.default_rng(3)
    rows = draw.standard_normal((ROWS, DIM)).astype("f4")
    rows[::2] *= 0.05
    return save(tmp_path_factory.mktemp("max") / "rows.h5", train=rows)


def build(source, out, *words, ranks=1):
    return run("build", source, out, "--lists", LISTS, "--json", *words, ranks=ranks).json()


def sizes(index):
    with h5py.File(index) as file:
        return numpy.diff(file["list_offset"][:].astype("i8"))


@pytest.mark.parametrize("most", [600, 150])
def test_no_list_is_larger_when_all_rows_train(tmp_path, source, most):
    plain = build(source, tmp_path / "plain", "--sample", ROWS)
    assert plain["list_size_largest"] > most and "split_lists" not in plain
    cut = build(source, tmp_path / "cut", "--sample", ROWS, "--max-list", most, ranks=2)
    assert sizes(tmp_path / "cut").max() == cut["list_size_largest"] <= most
    assert sizes(tmp_path / "cut").sum() == ROWS
    assert cut["lists"] == len(sizes(tmp_path / "cut")) == LISTS + cut["split_lists"]
    assert cut["lists"] < 5 * ROWS / most


@pytest.mark.parametrize("ranks, threads", [(2, 2), (3, 1), (5, 1)])
def test_the_same_on_any_ranks_and_threads(tmp_path, source, ranks, threads):
    words = "--sample", ROWS // 2, "--max-list", 300
    build(source, tmp_path / "one", *words)
    build(source, tmp_path / "more", *words, "--threads", threads, ranks=ranks)
    assert same(tmp_path / "one", tmp_path / "more")


def test_a_sample_shows_it_well_enough(tmp_path, source):
    built = build(source, tmp_path / "x", "--sample", ROWS // 4, "--max-list", 400, ranks=3)
    assert built["list_size_largest"] <= 480 and built["split_lists"] > 0


def test_wide_rows_are_cut_into_few_lists(tmp_path):
    """Where a mean is nearer to most rows than any row, a centroid on a row would stay alone."""
    draw = numpy.random.default_rng(5)
    rows = 3 * draw.standard_normal((5, 400))[draw.integers(5, size=6000)]
    source = save(tmp_path / "rows.h5", train=(rows + draw.standard_normal(rows.shape)).astype("f4"))
    words = "--sample", 6000, "--max-list", 100
    cut = build(source, tmp_path / "x", *words)
    assert cut["list_size_largest"] <= 100 and cut["lists"] < 2 * 6000 / 100
    told = run("build", source, tmp_path / "y", "--lists", LISTS, *words, "--memory", memory(4),
               check=False)
    enough = re.search(r"raise --memory to (\d+M)", told.err).group(1)
    build(source, tmp_path / "y", *words, "--memory", enough)
    assert same(tmp_path / "x", tmp_path / "y")


def test_rows_that_are_the_same_cannot_be_parted(tmp_path):
    rows = numpy.random.default_rng(4).standard_normal((4000, DIM)).astype("f4")
    rows[:1500] = rows[0]
    source = save(tmp_path / "rows.h5", train=rows)
    done = run("build", source, tmp_path / "x", "--lists", LISTS, "--max-list", 200, ranks=2)
    assert "rows are equal" in done.err.replace("its ", "")
    assert sizes(tmp_path / "x").max() >= 1500 and numpy.sort(sizes(tmp_path / "x"))[-2] <= 200


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_rows_that_are_the_same_cost_few_lists(tmp_path, metric):
    """Many of them or one, the others need about as many lists; cutting is tried with 2, 4, 8, 16."""
    rows = numpy.random.default_rng(4).standard_normal((10000, 16)).astype("f4")
    rows[:9000] = rows[0]
    made = []
    for name, some in (("many", rows), ("one", rows[8999:])):
        source = save(tmp_path / f"{name}.h5", train=some)
        made.append(build(source, tmp_path / name, "-m", metric, "--sample", len(some), "--max-list", 20,
                          ranks=2))
    assert made[0]["list_size_largest"] >= 9000 and made[0]["empty_lists"] == 0
    assert made[0]["lists"] <= made[1]["lists"] + 35
    zero = save(tmp_path / "zero.h5", train=numpy.zeros((3000, 8), "f4"))
    assert build(zero, tmp_path / "zero", "-m", metric, "--max-list", 10)["lists"] == LISTS
