"""Rows that hardly differ: lists are dealt among them by every metric, as far as float32 tells."""
import h5py
import numpy
import pytest

from program import run, same, save

LISTS = 472
BUILD = ("--lists", LISTS, "--quiet", "--json")


def near_rows(rows=1537, points=40, dim=24, noise=1e-4):
    """Rows around few points; of unit length they differ by about noise / 5."""
    random = numpy.random.default_rng(6)
    at = random.standard_normal((points, dim))
    return (at[random.integers(0, points, rows)] + noise * random.standard_normal((rows, dim))).astype("f4")


def unit(rows):
    length = numpy.sqrt((rows.astype("f8") ** 2).sum(axis=1, keepdims=True))
    return (rows / numpy.where(length > 0, length, 1)).astype("f4")


def check_nearest(index, rows):
    """Every row lies in the list of the nearest centroid, both of unit length."""
    with h5py.File(index) as file:
        centroid, offset, ids = file["centroid"][:].astype("f8"), file["list_offset"][:], file["id"][:]
    lists = numpy.empty(len(rows), "i8")
    lists[ids] = numpy.repeat(numpy.arange(len(offset) - 1), numpy.diff(offset).astype("i8"))
    for row, found in zip(unit(rows).astype("f8"), lists):
        distance = ((centroid - row) ** 2).sum(axis=1)
        assert distance[found] <= distance.min() * 1.001 + 1e-14 or not row.any()


@pytest.mark.parametrize("noise", [3e-6, 1e-4, 1e-2])
def test_ip_and_cosine_deal_lists_as_l2_does_of_unit_vectors(tmp_path, noise):
    rows = near_rows(noise=noise)
    source = save(tmp_path / "rows.h5", train=rows, unit=unit(rows))
    l2 = run("build", f"{source}:unit", tmp_path / "l2", *BUILD, ranks=0).json()
    assert l2["empty_lists"] == 0
    for metric in ("ip", "cosine"):
        built = run("build", source, tmp_path / metric, "--metric", metric, *BUILD, ranks=0).json()
        assert built["empty_lists"] == 0
        assert built["list_size_largest"] <= 1.5 * l2["list_size_largest"]
        assert built["objective"] == pytest.approx(l2["objective"] / 2, rel=0.05, abs=1e-12)
        check_nearest(tmp_path / metric, rows)


def test_the_same_on_any_number_of_ranks(tmp_path):
    source = save(tmp_path / "rows.h5", train=near_rows())
    for ranks in (1, 2, 3, 5):
        run("build", source, tmp_path / f"{ranks}", "--metric", "cosine", *BUILD, ranks=ranks)
    assert all(same(tmp_path / "1", tmp_path / f"{ranks}") for ranks in (2, 3, 5))


def test_two_levels_of_lists(tmp_path):
    source = save(tmp_path / "rows.h5", train=near_rows(6000))
    built = run("build", source, tmp_path / "index", "--metric", "ip", "--lists", 1500, "--quiet",
                "--json", ranks=0).json()
    assert built["empty_lists"] == 0 and built["list_size_largest"] < 40


def test_a_few_points_in_a_large_set(tmp_path):
    """Lists go to the rows that differ more, and none stays empty."""
    random = numpy.random.default_rng(7)
    rows = random.standard_normal((20000, 32)).astype("f4")
    rows[random.permutation(20000)[:12000]] = near_rows(12000, 5, 32)
    source = save(tmp_path / "rows.h5", train=rows)
    built = run("build", source, tmp_path / "index", "--metric", "cosine", "--lists", 800, "--quiet",
                "--json", ranks=0).json()
    assert built["empty_lists"] == 0 and built["list_size_largest"] < 300


def test_zeros_and_a_row_far_off(tmp_path):
    rows = near_rows()
    rows[::5] = 0
    rows[77] *= 1e9
    source = save(tmp_path / "rows.h5", train=rows)
    built = run("build", source, tmp_path / "index", "--metric", "cosine", *BUILD, ranks=0).json()
    zeros = (~rows.any(axis=1)).sum()
    assert built["empty_lists"] == 0 and zeros <= built["list_size_largest"] < zeros + 15
    assert built["objective"] == pytest.approx(zeros / len(rows), rel=1e-6)
    check_nearest(tmp_path / "index", rows)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_lists_that_stay_empty_are_told(tmp_path, metric):
    rows = numpy.repeat(near_rows(40, 40), 30, axis=0)
    source = save(tmp_path / "rows.h5", train=rows)
    build = ("build", source, tmp_path / "index", "--metric", metric, "--force")
    told = run(*build, "--lists", 100, ranks=0)
    assert "60 of 100 lists are empty, since too few rows differ; --lists 40 would do" in told.err
    told = run(*build, "--lists", 40, ranks=0)
    assert "empty, since" not in told.err
