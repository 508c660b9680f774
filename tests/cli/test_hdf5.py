"""Rows of HDF5 that lie elsewhere, or nowhere: what is read is what h5py reads, or one line says why not."""
import os
import subprocess

import h5py
import numpy
import pytest

from program import fails, neighbours, run, save

ROWS, DIM = 600, 7
SAYS = "were never written"


@pytest.fixture(scope="module")
def rows():
    return numpy.random.default_rng(5).normal(size=(ROWS, DIM)).astype("f4")


def read(source, tmp_path, *words, ranks=1, cwd=None, env=None):
    """The rows of a source as the program reads them, and its lines on standard error."""
    out = tmp_path / "shuffled.h5"
    done = run("shuffle", source, out, "--force", *words, ranks=ranks, cwd=cwd, env=env)
    with h5py.File(out) as file:
        name = next(name for name in file if name != "id")
        found = numpy.empty_like(file[name][:])
        found[file["id"][:]] = file[name][:]
    return found, done.messages()


def assert_reads(source, want, tmp_path, **how):
    found, _ = read(source, tmp_path, **how)
    assert found.dtype == want.dtype and found.shape == want.shape
    assert (found == want).all()


def holder(path, rows, layout):
    """A file whose dataset lies behind other things, in a layout."""
    how = {"contiguous": {}, "chunked": dict(chunks=(50, DIM)), "gzip": dict(chunks=(64, 3), compression="gzip")}
    with h5py.File(path, "w", userblock_size=512) as file:
        file["before"] = numpy.zeros(100)
        file.create_dataset("deep/train", data=rows, **how[layout])
        file["soft"] = h5py.SoftLink("/deep/train")
        file["deep/here"] = h5py.SoftLink("train")
    return path


# ---- links ----

LINKS = {
    "soft": lambda f: f.__setitem__("train", h5py.SoftLink("/group/real")),
    "external": lambda f: f.__setitem__("train", h5py.ExternalLink("sub/real.h5", "/deep/train")),
    "external to a soft one": lambda f: f.__setitem__("train", h5py.ExternalLink("sub/real.h5", "soft")),
    "group": lambda f: f.__setitem__("group2", h5py.ExternalLink("sub/real.h5", "/deep")),
    "chain": lambda f: f.__setitem__("train", h5py.ExternalLink("sub/chain.h5", "/on")),
}


@pytest.mark.parametrize("layout", ["contiguous", "chunked", "gzip"])
@pytest.mark.parametrize("link", LINKS)
def test_rows_behind_links_are_those_of_the_target(tmp_path, rows, link, layout):
    (tmp_path / "sub").mkdir()
    holder(tmp_path / "sub" / "real.h5", rows, layout)
    with h5py.File(tmp_path / "sub" / "chain.h5", "w") as file:
        file["on"] = h5py.ExternalLink("real.h5", "/deep/here")
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["other"] = -rows
        file["group/real"] = rows
        LINKS[link](file)
    name = "link.h5:group2/train" if link == "group" else "link.h5"
    assert_reads(name, rows, tmp_path, cwd=tmp_path)


def test_ids_and_queries_behind_links_are_those_of_the_target(tmp_path, rows):
    ids = numpy.random.default_rng(2).permutation(ROWS) + 1000
    save(tmp_path / "real.h5", before=rows, train=rows, test=rows[100:110], id=ids)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["other"] = numpy.zeros((ROWS, DIM), "f4")
        for name in ("train", "test", "id"):
            file[name] = h5py.ExternalLink("real.h5", name)
    for mode, ranks in (("auto", 1), ("independent", 2), ("collective", 2)):
        out = tmp_path / f"{mode}.h5"
        run("truth", tmp_path / "link.h5", tmp_path / "link.h5", out, "-k", 1, "--ids",
            tmp_path / "link.h5", "--read", mode, ranks=ranks)
        found, distances = neighbours(out)
        assert (found[:, 0] == ids[100:110]).all() and (distances == 0).all()


def test_a_link_that_leads_nowhere_says_where(tmp_path, rows):
    save(tmp_path / "real.h5", train=rows)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["gone"] = h5py.ExternalLink("gone.h5", "train")
        file["empty"] = h5py.ExternalLink("real.h5", "nothing")
        file["soft"] = h5py.SoftLink("/nothing")
        file["round"] = h5py.SoftLink("/round")
    for name, says in (("gone", "is a link to 'gone.h5:train', which cannot be opened: No such file"),
                       ("empty", "is a link to 'real.h5:nothing', and there is no such object"),
                       ("soft", "is a link to '/nothing', and there is no such object"),
                       ("round", "is a link to '/round'")):
        fails("shuffle", f"{tmp_path / 'in.h5'}:{name}", tmp_path / "x", says=says, output=tmp_path / "x")


def test_colons_belong_to_the_longest_file_that_is_there(tmp_path, rows):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["ns:emb"] = rows
    with h5py.File(tmp_path / "c.h5:ns", "w") as file:
        file["other"] = -rows
    assert_reads(f"{tmp_path / 'c.h5:ns'}:other", -rows, tmp_path)
    (tmp_path / "c.h5:ns").unlink()
    assert_reads(f"{tmp_path / 'c.h5'}:ns:emb", rows, tmp_path)


def test_a_name_that_is_too_long_is_refused_not_cut(tmp_path, rows):
    deep = "/".join(["d" * 50] * 10)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file[deep] = rows
        file[deep + "e"] = -rows
    assert_reads(f"{tmp_path / 'in.h5'}:{deep}", rows, tmp_path)
    fails("shuffle", f"{tmp_path / 'in.h5'}:{deep + 'e' * 3}", tmp_path / "x", code=2, says="is too long",
          output=tmp_path / "x")


# ---- external raw data ----

def raw(path, rows, parts):
    """A dataset whose bytes lie in raw files: (name, offset, bytes) each."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    for name, offset, size in parts:
        plist.set_external(name.encode(), offset, size)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(rows.shape)
        h5py.h5d.create(file.id, b"train", h5py.h5t.py_create(rows.dtype), space, plist)
    return path


@pytest.mark.parametrize("prefix", ["", "${ORIGIN}", "raws"])
def test_external_raw_data_are_found_as_hdf5_finds_them(tmp_path, rows, prefix):
    bytes_ = rows.tobytes()
    cut = 100 * DIM * 4 + 10
    (tmp_path / "raws").mkdir()
    (tmp_path / "sub").mkdir()
    folder = {"": tmp_path, "${ORIGIN}": tmp_path / "sub", "raws": tmp_path / "raws"}[prefix]
    (folder / "a.bin").write_bytes(b"head" + bytes_[:cut])
    (folder / "b.bin").write_bytes(bytes_[cut:])
    raw(tmp_path / "sub" / "in.h5", rows, [("a.bin", 4, cut), ("b.bin", 0, len(bytes_) - cut)])
    env = {"HDF5_EXTFILE_PREFIX": prefix}
    assert_reads("sub/in.h5", rows, tmp_path, cwd=tmp_path, env=env, ranks=2)
    (folder / "b.bin").write_bytes(bytes_[cut:-1])
    fails("shuffle", tmp_path / "sub/in.h5", tmp_path / "x", env={"HDF5_EXTFILE_PREFIX": str(folder)},
          says=f"bytes of '{folder}/b.bin', which has {len(bytes_) - cut - 1}", output=tmp_path / "x")
    (folder / "b.bin").unlink()
    fails("shuffle", tmp_path / "sub/in.h5", tmp_path / "x", env={"HDF5_EXTFILE_PREFIX": str(folder)},
          says=f"needs '{folder}/b.bin', which cannot be opened: No such file", output=tmp_path / "x")


# ---- virtual datasets ----

def virtual(path, shape, maps, fill=0, dtype="f4"):
    """maps: (where in the virtual dataset, file, object, shape of the source, where in it)."""
    layout = h5py.VirtualLayout(shape, dtype)
    for here, file, name, source, there in maps:
        layout[here] = h5py.VirtualSource(str(file), name, source)[there]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("train", layout, fillvalue=fill)
    return path


ALL = numpy.s_[:, :]


def by_rows(folder, rows, **how):
    """Three files of rows, chunks that do not begin where the parts do."""
    for i, part in enumerate((rows[:170], rows[170:400], rows[400:])):
        with h5py.File(folder / f"p{i}.h5", "w") as file:
            file.create_dataset("v", data=part, **how)
    return virtual(folder / "v.h5", rows.shape, [(numpy.s_[a:b], f"p{i}.h5", "v", (b - a, DIM), ALL)
                                                 for i, (a, b) in enumerate(((0, 170), (170, 400), (400, ROWS)))])


def by_columns(folder, rows):
    save(folder / "left.h5", v=rows[:, :3])
    with h5py.File(folder / "right.h5", "w") as file:
        file.create_dataset("v", data=rows[:, 3:], chunks=(41, 2), compression="gzip")
    return virtual(folder / "v.h5", rows.shape, [(numpy.s_[:, :3], "left.h5", "v", (ROWS, 3), ALL),
                                                 (numpy.s_[:, 3:], "right.h5", "v", (ROWS, DIM - 3), ALL)])


def interleaved(folder, rows):
    for i in range(3):
        with h5py.File(folder / f"p{i}.h5", "w") as file:
            file.create_dataset("v", data=rows[i::3], chunks=(30, DIM), compression="gzip")
    return virtual(folder / "v.h5", rows.shape,
                   [(numpy.s_[i::3, :], f"p{i}.h5", "v", (ROWS // 3, DIM), ALL) for i in range(3)])


def row_by_row(folder, rows):
    for i in range(20):
        save(folder / f"p{i}.h5", v=rows[i])
    return virtual(folder / "v.h5", (20, DIM), [(i, f"p{i}.h5", "v", (DIM,), numpy.s_[:]) for i in range(20)])


def from_a_cube(folder, rows):
    save(folder / "cube.h5", v=rows.reshape(6, 100, DIM))
    return virtual(folder / "v.h5", rows.shape, [(numpy.s_[100 * i:100 * i + 100, :], "cube.h5", "v",
                                                  (6, 100, DIM), numpy.s_[i, :, :]) for i in range(6)])


def windows(folder, rows):
    """Parts of sources, over each other, and one of another type."""
    save(folder / "a.h5", v=numpy.vstack([rows, rows])[50:], w=rows.astype("f8"))
    return virtual(folder / "v.h5", rows.shape,
                   [(numpy.s_[0:300], "a.h5", "v", (1150, DIM), numpy.s_[550:850, :]),
                    (numpy.s_[200:600], "a.h5", "w", rows.shape, numpy.s_[200:600, :])])


def nested(folder, rows):
    by_rows(folder, rows, chunks=(64, 4), shuffle=True, compression="gzip")
    (folder / "v.h5").rename(folder / "inner.h5")
    with h5py.File(folder / "v.h5", "w", libver="latest") as file:
        file["own"] = rows[500:]
        file["link"] = h5py.ExternalLink("inner.h5", "train")
        layout = h5py.VirtualLayout(rows.shape, "f4")
        layout[:500] = h5py.VirtualSource(".", "link", rows.shape)[:500]
        layout[500:] = h5py.VirtualSource(".", "own", (100, DIM))
        file.create_virtual_dataset("train", layout)
    return folder / "v.h5"


def numbered(folder, rows):
    """Files by number, as many as there are."""
    for i in range(6):
        save(folder / f"n%{i}.h5", **{f"v{i}": rows[100 * i:100 * i + 100]})
    none = h5py.h5s.UNLIMITED
    here, there = h5py.h5s.create_simple((100, DIM), (none, DIM)), h5py.h5s.create_simple((100, DIM))
    here.select_hyperslab((0, 0), (none, 1), (100, 1), (100, DIM))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(here, b"n%%%b.h5", b"v%b", there)
    with h5py.File(folder / "v.h5", "w", libver="latest") as file:
        h5py.h5d.create(file.id, b"train", h5py.h5t.IEEE_F32LE, here, plist)
    return folder / "v.h5"


def growing(folder, rows):
    """All rows of a source, as many as it has by now."""
    none = h5py.h5s.UNLIMITED
    with h5py.File(folder / "p.h5", "w") as file:
        file.create_dataset("v", data=rows, maxshape=(None, DIM), chunks=(50, DIM))
    space = h5py.h5s.create_simple((10, DIM), (none, DIM))
    space.select_hyperslab((0, 0), (1, 1), (1, 1), (none, DIM))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(space, b"p.h5", b"v", space)
    with h5py.File(folder / "v.h5", "w", libver="latest") as file:
        h5py.h5d.create(file.id, b"train", h5py.h5t.IEEE_F32LE, space, plist)
    return folder / "v.h5"


VIRTUAL = [by_rows, by_columns, interleaved, row_by_row, from_a_cube, windows, nested, numbered, growing]


@pytest.mark.parametrize("make", VIRTUAL)
def test_virtual_datasets_are_what_h5py_reads(tmp_path, rows, make):
    source = make(tmp_path, rows)
    with h5py.File(source) as file:
        want = file["train"][:]
    assert (want == rows[:len(want)]).all()
    assert_reads(source, want, tmp_path, ranks=2 if make in (by_rows, interleaved) else 1)


def test_a_missing_source_is_named(tmp_path, rows):
    source = by_rows(tmp_path, rows)
    (tmp_path / "p1.h5").rename(tmp_path / "away.h5")
    for ranks in (1, 3):
        fails("build", source, tmp_path / "x", "-l", 2, ranks=ranks, output=tmp_path / "x",
              says=f"'{source}:train' needs 'p1.h5', which cannot be opened: No such file")
    (tmp_path / "there").mkdir()
    (tmp_path / "away.h5").rename(tmp_path / "there" / "p1.h5")
    assert_reads(source, rows, tmp_path, env={"HDF5_VDS_PREFIX": str(tmp_path / "there")})
    save(tmp_path / "p1.h5", other=rows[170:400])
    fails("shuffle", source, tmp_path / "x", output=tmp_path / "x",
          says=f"needs 'p1.h5:v': '{tmp_path / 'p1.h5'}' has no object 'v'")
    save(tmp_path / "p1.h5", v=rows[170:300])
    fails("shuffle", source, tmp_path / "x", says="needs 230 rows of 'p1.h5:v', which has 130",
          output=tmp_path / "x")
    save(tmp_path / "p1.h5", v=rows[170:400, :4])
    fails("shuffle", source, tmp_path / "x", says="needs 7 columns of 'p1.h5:v', which has 4",
          output=tmp_path / "x")


@pytest.mark.parametrize("make", [interleaved, nested])
def test_a_missing_source_is_named_wherever_it_is(tmp_path, rows, make):
    source = make(tmp_path, rows)
    (tmp_path / "p2.h5").unlink()
    fails("shuffle", source, tmp_path / "x", says="needs 'p2.h5', which cannot be opened",
          output=tmp_path / "x")


def test_a_dataset_that_is_its_own_source_is_refused(tmp_path):
    virtual(tmp_path / "a.h5", (9, 2), [(ALL, "b.h5", "train", (9, 2), ALL)])
    virtual(tmp_path / "b.h5", (9, 2), [(ALL, "a.h5", "train", (9, 2), ALL)])
    fails("shuffle", tmp_path / "a.h5", tmp_path / "x", says="is a source of itself", output=tmp_path / "x")


# ---- rows that were never written ----

def test_chunks_never_written_are_counted(tmp_path, rows):
    want = numpy.full(rows.shape, 2, "f4")
    want[:128] = rows[:128]
    want[256:300, :4] = rows[256:300, :4]
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", rows.shape, "f4", chunks=(64, 4), fillvalue=2, compression="gzip")
        file["train"][:128] = rows[:128]
        file["train"][256:300, :4] = rows[256:300, :4]
    found, told = read(tmp_path / "in.h5", tmp_path)
    assert (found == want).all()
    assert [f"{ROWS - 128} of {ROWS} rows of '{tmp_path / 'in.h5'}:train' {SAYS}" in line
            for line in told] == [True]
    fails("build", tmp_path / "in.h5", tmp_path / "x", "-l", 2, "--unwritten", "bad", ranks=3,
          says=" has a value that is not finite", output=tmp_path / "x")
    for ranks in (1, 3):
        run("build", tmp_path / "in.h5", tmp_path / "x", "-l", 2, "--unwritten", "bad", "--bad-rows",
            "skip", "--force", ranks=ranks)
        with h5py.File(tmp_path / "x") as file:
            assert (file["rejected"][:] == numpy.arange(128, ROWS)).all()
    made = run("truth", tmp_path / "in.h5", tmp_path / "in.h5:train", tmp_path / "t", "-k", 1, "--unwritten",
               "bad", "--bad-rows", "skip", "--queries", 1, "--json").json()
    assert made["rejected"] == ROWS - 128


def test_rows_no_source_gives_are_counted(tmp_path, rows):
    save(tmp_path / "p.h5", v=rows)
    source = virtual(tmp_path / "in.h5", rows.shape,
                     [(numpy.s_[10:100], "p.h5", "v", rows.shape, numpy.s_[10:100, :]),
                      (numpy.s_[200:300, :4], "p.h5", "v", rows.shape, numpy.s_[200:300, :4])], fill=9)
    want = numpy.full(rows.shape, 9, "f4")
    want[10:100] = rows[10:100]
    want[200:300, :4] = rows[200:300, :4]
    found, told = read(source, tmp_path)
    assert (found == want).all()
    assert len(told) == 1 and f"{ROWS - 90} of {ROWS} rows of" in told[0]


def test_a_dataset_never_written_at_all_is_told(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", (50, 3), "f8", fillvalue=1.5)
    found, told = read(tmp_path / "in.h5", tmp_path)
    assert (found == 1.5).all() and f"50 of 50 rows of" in told[0]


# ---- damage and locks ----

@pytest.mark.parametrize("how, says", [(dict(compression="gzip"), "inflate() failed"),
                                       (dict(fletcher32=True), "Fletcher32")])
def test_a_damaged_chunk_is_named_by_its_rows(tmp_path, rows, how, says):
    path = tmp_path / "in.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("train", data=rows, chunks=(100, DIM), **how)
        chunk = data.id.get_chunk_info(3)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        damaged = bytes(255 - byte for byte in file.read(4))
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(damaged)
    for words in (("build", path, tmp_path / "x", "-l", 2), ("shuffle", path, tmp_path / "x")):
        done = fails(*words, says=f"cannot read rows 300..399 of '{path}:train'", ranks=3,
                     output=tmp_path / "x")
        assert says in done.err and "copy the file again" in done.err


def test_a_file_that_is_being_written_says_so(tmp_path, rows):
    path = tmp_path / "in.h5"
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'w'); f['train'] = [[1.0]]; f.flush(); print(); input()"
    python = os.environ.get("PYTHON", "/usr/bin/python3")
    with subprocess.Popen([python, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        fails("shuffle", path, tmp_path / "x", says="another program has it open for writing",
              output=tmp_path / "x")
        writer.kill()


def test_rows_beyond_the_end_of_the_file_are_refused(tmp_path, rows):
    """Cut so that HDF5's own check of the size still holds."""
    save(tmp_path / "in.h5", train=rows)
    with h5py.File(tmp_path / "in.h5") as file:
        offset = file["train"].id.get_offset()
    os.truncate(tmp_path / "in.h5", offset + 1000)
    fails("shuffle", tmp_path / "in.h5", tmp_path / "x", says="truncated", output=tmp_path / "x")
