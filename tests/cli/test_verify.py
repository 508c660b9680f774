"""verify finds a flipped byte anywhere in the data of an index, and a file cut short."""
import h5py
import numpy
import pytest

from program import fails, run, save

LISTS = 7
LIST_DATA = ["id", "code", "factor", "vector", "list_checksum"]
HEADER = ["list_offset", "rejected", "row_range"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An index with every kind of data, rejected rows and an empty list; its model; a shard."""
    folder = tmp_path_factory.mktemp("verify")
    rows = numpy.random.default_rng(1).normal(size=(400, 6)).astype("f4")
    rows[[17, 380]] = numpy.nan
    source = save(folder / "in.h5", train=rows, test=rows[:3])
    how = ("-l", LISTS, "--bad-rows", "skip")
    run("train", source, folder / "model", *how)
    run("build", source, folder / "index", *how, "--store", "source", "--codec", "int8", ranks=2)
    run("build", source, folder / "shard", "--bad-rows", "skip", "--model", folder / "model", "--part",
        "1/2")
    return folder


class Layout:
    """Where the datasets of an index lie."""

    def __init__(self, path):
        self.at, self.row_bytes, self.rows = {}, {}, {}
        with h5py.File(path) as file:
            self.bytes = path.stat().st_size
            self.offset = file["list_offset"][:].astype("i8")
            for name, dataset in file.items():
                size = dataset.id.get_storage_size()
                self.at[name], self.rows[name] = dataset.id.get_offset(), dataset.shape[0]
                self.row_bytes[name] = size // max(dataset.shape[0], 1)

    def size(self, name):
        return self.rows[name] * self.row_bytes[name]

    def list_of(self, name, byte):
        """The list that a byte of a dataset belongs to."""
        row = byte // self.row_bytes[name]
        return row if name == "list_checksum" else numpy.searchsorted(self.offset, row, "right") - 1


def flipped(place, at, mask, out):
    """A copy of the index with bits of one byte turned over."""
    content = bytearray((place / "index").read_bytes())
    content[at] ^= mask
    out.write_bytes(content)
    return out


def spots(layout, name, count):
    """First byte, last byte, and some between."""
    size = layout.size(name)
    inside = numpy.random.default_rng(len(name)).integers(0, size, count)
    return sorted({0, size - 1, *inside.tolist()})


@pytest.mark.parametrize("ranks", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["index", "model", "shard"])
def test_a_good_file_passes(place, name, ranks):
    told = run("verify", place / name, "--json", ranks=ranks).json()
    assert told["lists"] == LISTS
    assert told["rows"] == run("info", place / name, "--json", ranks=0).json()["rows_stored"]


@pytest.mark.parametrize("name", LIST_DATA)
def test_a_flipped_byte_in_list_data_names_the_list(place, tmp_path, name):
    layout = Layout(place / "index")
    for i, byte in enumerate(spots(layout, name, 7)):
        path = flipped(place, layout.at[name] + byte, 1 << i % 8, tmp_path / "x")
        fails("verify", path, ranks=(0, 0, 3)[i % 3],
              says=f"'{path}' is damaged in list {layout.list_of(name, byte)} (1 of {LISTS} lists")


def test_a_flipped_byte_in_the_centroids_is_found(place, tmp_path):
    layout = Layout(place / "index")
    for i, byte in enumerate(spots(layout, "centroid", 6)):
        path = flipped(place, layout.at["centroid"] + byte, 1 << i, tmp_path / "x")
        fails("verify", path, says=f"the centroids of '{path}' are damaged", ranks=(0, 3)[i % 2])


@pytest.mark.parametrize("name", HEADER)
def test_a_flipped_byte_in_the_small_datasets_is_found(place, tmp_path, name):
    layout = Layout(place / "index")
    for i, byte in enumerate(spots(layout, name, 5)):
        path = flipped(place, layout.at[name] + byte, 128 >> i % 8, tmp_path / "x")
        fails("verify", path, says=f"the header of '{path}' is damaged", ranks=(0, 3)[i % 2])


def test_two_damaged_lists_are_counted_and_the_first_is_named(place, tmp_path):
    layout = Layout(place / "index")
    used = numpy.flatnonzero(numpy.diff(layout.offset))[[1, -1]]
    content = bytearray((place / "index").read_bytes())
    for l in used:
        content[layout.at["code"] + layout.offset[l] * layout.row_bytes["code"]] ^= 4
    (tmp_path / "x").write_bytes(content)
    for ranks in (1, 2, 5):
        fails("verify", tmp_path / "x", says=f"in list {used[0]} (2 of {LISTS} lists", ranks=ranks)


def test_rows_swapped_inside_a_list_are_found(place, tmp_path):
    layout = Layout(place / "index")
    content = bytearray((place / "index").read_bytes())
    at = layout.at["id"] + 8 * layout.offset[2]
    content[at:at + 16] = content[at + 8:at + 16] + content[at:at + 8]
    (tmp_path / "x").write_bytes(content)
    fails("verify", tmp_path / "x", says="in list 2 ", ranks=2)


ATTRIBUTES = {"metric": "ip", "codec": "f32", "planes": "id,code", "dim": 7, "lists": 8, "rows": 399,
              "rejected": 1, "source_rows": 401, "seed": 2, "sample": 1, "objective": 0.5, "ids": 1, "store": 0,
              "model_fingerprint": 1, "source_fingerprint": 1, "header_checksum": 1}


def test_every_attribute_is_protected(place, tmp_path):
    with h5py.File(place / "index") as file:
        names = set(file.attrs)
    assert names - set(ATTRIBUTES) == {"format", "version"}
    for name, value in ATTRIBUTES.items():
        (tmp_path / "x").write_bytes((place / "index").read_bytes())
        with h5py.File(tmp_path / "x", "r+") as file:
            kind = file.attrs.get_id(name).dtype
            assert file.attrs[name] != value, f"{name} has to change"
            file.attrs.modify(name, value if isinstance(value, str) else kind.type(value))
        fails("verify", tmp_path / "x", ranks=0)


def test_a_damaged_superblock_or_object_header_is_no_index(place, tmp_path):
    for at in (0, 3, 8, 13, 40, 47, 50, 60, 200, 400):
        path = flipped(place, at, 0x10, tmp_path / "x")
        for command in (("info", path), ("search", path, place / "in.h5", tmp_path / "r")):
            fails(*command, says=f"'{path}'", ranks=0, output=tmp_path / "r")


@pytest.mark.parametrize("name", HEADER)
def test_info_and_search_refuse_a_damaged_header(place, tmp_path, name):
    path = flipped(place, Layout(place / "index").at[name], 1, tmp_path / "x")
    fails("info", path, says=f"the header of '{path}' is damaged", ranks=3)
    fails("search", path, place / "in.h5", tmp_path / "r", says=f"the header of '{path}' is damaged",
          ranks=3, output=tmp_path / "r")


def test_a_truncated_file_is_refused_at_any_length(place, tmp_path):
    whole = (place / "index").read_bytes()
    layout = Layout(place / "index")
    inside = [at + layout.size(name) // 2 for name, at in layout.at.items()]
    for i, length in enumerate(sorted({0, 1, 47, 600, 4095, 4096, *inside, len(whole) - 1})):
        (tmp_path / "x").write_bytes(whole[:length])
        fails("verify", tmp_path / "x", says=f"'{tmp_path / 'x'}'", ranks=(0, 3)[i % 2])


def test_search_refuses_damaged_centroids(place, tmp_path):
    path = flipped(place, Layout(place / "index").at["centroid"] + 3, 1, tmp_path / "x")
    fails("search", path, place / "in.h5", tmp_path / "r", says="the centroids", ranks=3,
          output=tmp_path / "r")


@pytest.mark.parametrize("ranks, codec", [(1, "f32"), (3, "f16"), (2, "int8")])
def test_search_refuses_a_list_with_a_flipped_bit(place, tmp_path, ranks, codec):
    index = tmp_path / "index"
    run("build", place / "in.h5", index, "-l", LISTS, "--bad-rows", "skip", "--codec", codec)
    whole, layout = index.read_bytes(), Layout(index)
    for name in ("id", "code") + ("factor",) * (codec == "int8"):
        byte = layout.size(name) // 2
        content = bytearray(whole)
        content[layout.at[name] + byte] ^= 1
        (tmp_path / "x").write_bytes(content)
        fails("search", tmp_path / "x", place / "in.h5", tmp_path / "r", "-p", LISTS, "-k", 3, ranks=ranks,
              says=f"'{tmp_path / 'x'}' is damaged in list {layout.list_of(name, byte)} ",
              output=tmp_path / "r")
    run("search", index, place / "in.h5", tmp_path / "r", "-p", LISTS, "-k", 3, ranks=ranks)
