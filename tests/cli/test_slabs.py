"""Slabs that are no samples of the input are told, with the figure; the index is what it always is."""
import h5py
import numpy
import pytest

from program import data, run, same

SAYS = "the slabs of the ranks differ"
LISTS = 64


@pytest.fixture(scope="module")
def images():
    """Every third image, sorted by class."""
    rows = numpy.load(data("fashion-mnist-train.npy"), mmap_mode="r")[::3]
    return numpy.ascontiguousarray(rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory, images):
    """The same rows in one piece and in ten, and in random order in ten; a model of them."""
    folder = tmp_path_factory.mktemp("slabs")
    tenth = (len(images) // 10, images.shape[1])
    shuffled = numpy.random.default_rng(1).permutation(images)
    for name, rows, chunks in (("flat", images, None), ("coarse", images, tenth),
                               ("shuffled", shuffled, tenth)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("train", data=rows, chunks=chunks)
    run("train", folder / "flat.h5", folder / "model", "-l", LISTS, "--iterations", 3, "--sample",
        6000, "-q")
    yield folder
    for path in folder.iterdir():
        path.unlink()


def build(place, name, out, ranks, *words):
    """What the build tells of slabs: the difference, the expected one, the warnings."""
    done = run("build", place / f"{name}.h5", out, "--model", place / "model", "--json", *words,
               ranks=ranks)
    told = done.json()
    return (told["slab_difference"], told["slab_difference_expected"],
            [line for line in done.messages() if SAYS in line])


@pytest.mark.parametrize("ranks", [1, 2, 5])
@pytest.mark.parametrize("name", ["flat", "shuffled"])
def test_slabs_that_are_samples_say_nothing(tmp_path, place, name, ranks):
    difference, expected, warnings = build(place, name, tmp_path / "x", ranks)
    assert warnings == []
    if ranks == 1:
        assert difference == expected == 0
    elif name == "shuffled":
        assert 0.6 * expected < difference < 1.6 * expected
    else:
        assert difference < 0.15


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_sorted_rows_in_large_chunks_warn_once(tmp_path, place, ranks):
    difference, expected, warnings = build(place, "coarse", tmp_path / "x", ranks)
    assert difference > 0.2 > 0.06 > expected
    assert len(warnings) == 1
    assert f"{100 * difference:.1f} % of rank " in warnings[0]
    assert f" {100 * expected:.1f} % when rows are in random order" in warnings[0]


def test_the_warning_changes_no_byte(tmp_path, place):
    build(place, "coarse", tmp_path / "one", 1)
    for ranks in (2, 3):
        _, _, warnings = build(place, "coarse", tmp_path / "more", ranks, "--force")
        assert warnings and same(tmp_path / "one", tmp_path / "more")


def test_more_ranks_than_blocks(tmp_path, place):
    """Some ranks have nothing to compare."""
    with h5py.File(tmp_path / "few.h5", "w") as file, h5py.File(place / "flat.h5") as flat:
        file.create_dataset("train", data=flat["train"][::20], chunks=(500, flat["train"].shape[1]))
    done = run("build", tmp_path / "few.h5", tmp_path / "x", "--model", place / "model", "--json", ranks=5)
    assert done.json()["rows"] == 1000
    assert 0 < done.json()["slab_difference"] < 1
