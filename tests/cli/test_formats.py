"""What is read: every element type, layout and file kind gives the index of the plain file."""
import h5py
import numpy
import pytest

from program import data, fails, run, same, same_answers, save

ROWS, DIM = 900, 23
TYPES = [order + kind for kind in ("f2", "f4", "f8") for order in "<>"] + ["u1", "i1"]
LAYOUTS = {
    "chunked": dict(chunks=(64, DIM)),
    "odd chunks": dict(chunks=(37, 5)),
    "one-row chunks": dict(chunks=(1, DIM)),
    "gzip": dict(chunks=(100, DIM), compression="gzip"),
    "shuffle and gzip": dict(chunks=(41, 9), shuffle=True, compression="gzip"),
    "checksum": dict(chunks=(50, DIM), fletcher32=True),
    "resizable": dict(chunks=(70, DIM), maxshape=(None, DIM)),
}


@pytest.fixture(scope="module")
def rows():
    """Whole numbers that every type holds, so that all files mean the same."""
    return numpy.random.default_rng(11).integers(0, 100, size=(ROWS, DIM))


@pytest.fixture(scope="module")
def plain(tmp_path_factory, rows):
    """A folder with the index and the truth of each type, from contiguous little-endian HDF5."""
    folder = tmp_path_factory.mktemp("plain")
    save(folder / "queries.h5", test=rows[::50].astype("f4"))
    save(folder / "in.h5", train=rows.astype("f4"))
    build(folder / "in.h5", folder / "index")
    run("truth", folder / "in.h5", folder / "queries.h5", folder / "truth", "-k", 15)
    return folder


def build(source, out, *words, ranks=2):
    return run("build", source, out, "-l", 12, "--json", *words, ranks=ranks).json()


def stored(path):
    """The rows of an index in the order of their ids, and all that does not name the source."""
    with h5py.File(path) as file:
        order = numpy.argsort(file["id"][:])
        sizes = numpy.diff(file["list_offset"][:].astype("i8"))
        lists = numpy.repeat(numpy.arange(len(sizes)), sizes)
        return file["code"][:][order], lists[order], file["centroid"][:]


def assert_same_content(path, plain):
    """Files of other types have another source fingerprint, nothing else."""
    for a, b in zip(stored(path), stored(plain / "index")):
        assert a.shape == b.shape and (a == b).all()


@pytest.mark.parametrize("mode, ranks", [("auto", 1), ("independent", 3)])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_and_byte_order_of_hdf5_is_read(tmp_path, rows, plain, kind, mode, ranks):
    source = save(tmp_path / "in.h5", train=rows.astype(kind))
    build(source, tmp_path / "x", "--read", mode, ranks=ranks)
    assert_same_content(tmp_path / "x", plain)


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_and_byte_order_of_npy_is_read(tmp_path, rows, plain, kind):
    numpy.save(tmp_path / "in.npy", rows.astype(kind))
    build(tmp_path / "in.npy", tmp_path / "x")
    assert_same_content(tmp_path / "x", plain)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_hdf5_give_the_same_bytes(tmp_path, rows, plain, layout):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("deep/er", data=rows.astype("f4"), **LAYOUTS[layout])
    for mode, ranks in (("auto", 3), ("collective", 2)):
        build(f"{tmp_path / 'in.h5'}:deep/er", tmp_path / "x", "--read", mode, "--force", ranks=ranks)
        assert same(tmp_path / "x", plain / "index"), mode


def test_chunks_never_written_are_the_fill_value(tmp_path, rows):
    want = numpy.full((ROWS, DIM), 3, "f4")
    want[130:260] = rows[130:260]
    with h5py.File(tmp_path / "holes.h5", "w") as file:
        holes = file.create_dataset("train", (ROWS, DIM), "f4", chunks=(65, 10), fillvalue=3)
        holes[130:260] = want[130:260]
    save(tmp_path / "full.h5", train=want)
    build(tmp_path / "full.h5", tmp_path / "full")
    for mode, ranks in (("auto", 3), ("collective", 3)):
        build(tmp_path / "holes.h5", tmp_path / "holes", "--read", mode, "--force", ranks=ranks)
        assert same(tmp_path / "holes", tmp_path / "full"), mode


def test_one_resizable_row_is_an_index(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", data=numpy.ones((1, 4), "f4"), maxshape=(None, 4))
    build(tmp_path / "in.h5", tmp_path / "x", "-l", 1, ranks=3)
    assert stored(tmp_path / "x")[0].tolist() == [[1, 1, 1, 1]]


def test_values_beyond_f32_are_not_finite(tmp_path):
    source = save(tmp_path / "in.h5", train=numpy.array([[1.0], [1e300], [2.0]]))
    fails("build", source, tmp_path / "y", "-l", 1, says="row 1 has a value that is not finite",
          output=tmp_path / "y")
    run("build", source, tmp_path / "x", "-l", 1, "--bad-rows", "skip")
    with h5py.File(tmp_path / "x") as file:
        assert file["rejected"][:].tolist() == [1]


def test_real_annotated_matrix_is_read(tmp_path):
    path = data("10x_pbmc68k_reduced.h5ad")
    with h5py.File(path) as file:
        want = file["obsm/X_pca"][:]
    build(f"{path}:obsm/X_pca", tmp_path / "x", ranks=3)
    assert (stored(tmp_path / "x")[0] == want).all()


def test_npy_queries_are_the_hdf5_queries(tmp_path, rows, plain):
    numpy.save(tmp_path / "q.npy", rows[::50].astype("<f8"))
    run("truth", plain / "in.h5", tmp_path / "q.npy", tmp_path / "t", "-k", 15, ranks=3)
    assert same_answers(tmp_path / "t", plain / "truth")


@pytest.mark.parametrize("kind", ["<i8", ">i8", "<i4", "<u4"])
def test_ids_of_a_dataset_are_kept(tmp_path, rows, plain, kind):
    ids = numpy.random.default_rng(5).permutation(ROWS).astype(kind) * 3 + 1
    if kind.endswith("i8"):
        ids += 1 << 40
    save(tmp_path / "ids.h5", id=ids)
    numpy.save(tmp_path / "ids.npy", ids)
    build(plain / "in.h5", tmp_path / "x", "--ids", tmp_path / "ids.h5", ranks=3)
    build(plain / "in.h5", tmp_path / "y", "--ids", tmp_path / "ids.npy", ranks=2)
    assert same(tmp_path / "x", tmp_path / "y")
    with h5py.File(tmp_path / "x") as file, h5py.File(plain / "index") as by_number:
        row_of = {int(id): row for row, id in enumerate(ids)}
        row = [row_of[id] for id in file["id"][:].tolist()]
        assert sorted(row) == list(range(ROWS))
        assert (file["code"][:] == rows[row]).all()
        assert (file["list_offset"][:] == by_number["list_offset"][:]).all()
        assert all((numpy.diff(part) > 0).all()
                   for part in numpy.split(file["id"][:], file["list_offset"][1:-1].astype("i8")))


BAD_IDS = {
    "negative": (lambda ids: numpy.where(ids == 700, -5, ids), "-5"),
    "beyond 2^63": (lambda ids: numpy.where(ids == 700, numpy.uint64(1 << 63), ids.astype("u8")), "2^63"),
    "too few": (lambda ids: ids[:-1], "899"),
    "too many": (lambda ids: numpy.arange(ROWS + 1), "901"),
    "not whole": (lambda ids: ids.astype("f4"), "f32"),
    "two columns": (lambda ids: numpy.stack([ids, ids], axis=1), "900 x 2"),
}


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("bad", BAD_IDS)
def test_bad_ids_are_refused(tmp_path, plain, bad, ranks):
    change, says = BAD_IDS[bad]
    save(tmp_path / "ids.h5", id=change(numpy.arange(ROWS)))
    fails("build", plain / "in.h5", tmp_path / "x", "-l", 12, "--ids", tmp_path / "ids.h5", says=says,
          ranks=ranks, output=tmp_path / "x")


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("where", ["the same list", "different lists"])
def test_an_id_given_twice_is_refused(tmp_path, plain, where, ranks):
    lists = stored(plain / "index")[1]
    other = numpy.flatnonzero((lists == lists[0]) == (where == "the same list"))[-1]
    ids = numpy.arange(ROWS)
    ids[other] = 0
    save(tmp_path / "ids.h5", id=ids)
    fails("build", plain / "in.h5", tmp_path / "x", "-l", 12, "--ids", tmp_path / "ids.h5",
          says="the id 0 is given to two rows", ranks=ranks, output=tmp_path / "x")
