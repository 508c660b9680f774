"""Same input, options and seed give the same bytes, however the work is cut; parts and merges."""
import os

import h5py
import numpy
import pytest

from program import fails, has_kernel, memory, run, same, save, tight_memory

LISTS = 40
PARTS = 4
HOW = [(1, 1), (2, 2), (3, 1), (5, 2)]
KERNELS = ["portable", "avx2", "avx512", "vnni"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a source, its model, index, truth and shards, each made in the plainest way."""
    folder = tmp_path_factory.mktemp("identity")
    run("generate", folder / "in.h5", "-n", 4100, "-d", 37, "--queries", 33, "--clusters", 60)
    run("train", folder / "in.h5", folder / "model", "-l", LISTS)
    run("build", folder / "in.h5", folder / "index", "-l", LISTS, "--store", "source")
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 20)
    run("search", folder / "index", folder / "in.h5", folder / "result", "-p", 5)
    for part in range(1, PARTS + 1):
        run("build", folder / "in.h5", folder / f"shard{part}", "--model", folder / "model",
            "--store", "source", "--part", f"{part}/{PARTS}", ranks=1 + part % 2)
    return folder


def build(place, out, *words, **how):
    return run("build", place / "in.h5", out, "-l", LISTS, "--store", "source", "--json", *words,
               **how).json()


def shards(place):
    return [place / f"shard{part}" for part in range(1, PARTS + 1)]


@pytest.mark.parametrize("ranks, threads", HOW[1:])
def test_every_command_gives_the_same_bytes(tmp_path, place, ranks, threads):
    how = ("--threads", threads)
    source = place / "in.h5"
    run("generate", tmp_path / "in.h5", "-n", 4100, "-d", 37, "--queries", 33, "--clusters", 60, *how,
        ranks=ranks)
    run("train", source, tmp_path / "model", "-l", LISTS, *how, ranks=ranks)
    run("truth", source, source, tmp_path / "truth", "-k", 20, *how, ranks=ranks)
    run("search", place / "index", source, tmp_path / "result", "-p", 5, *how, ranks=ranks)
    build(place, tmp_path / "index", *how, ranks=ranks)
    for name in ("in.h5", "model", "truth", "result", "index"):
        assert same(tmp_path / name, place / name), name


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_first_look_gives_the_same_bytes(tmp_path, metric):
    """Rows that lie near few axes get their lists by these first; some have no direction."""
    rows = numpy.random.default_rng(3).normal(size=(4000, 200)).astype("f4")
    rows /= 1 + numpy.arange(200, dtype="f4")
    rows[7] = 0
    rows[100:140] = rows[3]
    source = save(tmp_path / "in.h5", train=rows)
    run("train", source, tmp_path / "model", "-l", 900, "--metric", metric)
    for axes, ranks, threads in (("0", 1, 1), ("16", 1, 2), ("64", 3, 1)):
        run("build", source, tmp_path / axes, "--model", tmp_path / "model", "--threads", threads,
            ranks=ranks, env={"MPIVF_AXES": axes})
        assert same(tmp_path / axes, tmp_path / "0")


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_give_the_same_bytes(tmp_path, place, kernel):
    if not has_kernel(kernel):
        pytest.skip(f"this processor has no {kernel}")
    env = {"MPIVF_KERNEL": kernel}
    assert f"kernels {kernel}" in run("--version", env=env, ranks=0).out
    build(place, tmp_path / "index", env=env, ranks=2)
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "truth", "-k", 20, env=env, ranks=2)
    run("search", place / "index", place / "in.h5", tmp_path / "result", "-p", 5, env=env, ranks=2)
    for name in ("index", "truth", "result"):
        assert same(tmp_path / name, place / name), name


@pytest.mark.parametrize("codec", ["f16", "int8"])
def test_codes_are_the_same_bytes(tmp_path, place, codec):
    """However the work is cut, on every kind of kernels, and out of the shards of a job array."""
    source, how = place / "in.h5", ("--codec", codec, "-q")
    run("build", source, tmp_path / "index", "-l", LISTS, *how, ranks=0)
    run("search", tmp_path / "index", source, tmp_path / "result", "-p", 5, "-q", ranks=0)
    for number, kernel in enumerate(filter(has_kernel, KERNELS)):
        ranks, threads = HOW[number]
        cut = {"env": {"MPIVF_KERNEL": kernel}, "ranks": ranks}
        run("build", source, tmp_path / kernel, "-l", LISTS, *how, "--threads", threads, **cut)
        run("search", tmp_path / kernel, source, tmp_path / f"{kernel}.r", "-p", 5, "-q", **cut)
        assert same(tmp_path / kernel, tmp_path / "index")
        assert same(tmp_path / f"{kernel}.r", tmp_path / "result")
    parts = [tmp_path / f"part{part}" for part in (1, 2)]
    for part, path in enumerate(parts, 1):
        run("build", source, path, "--model", place / "model", *how, "--part", f"{part}/2", ranks=part)
    run("merge", *parts, place / "model", tmp_path / "merged", ranks=2)
    assert same(tmp_path / "merged", tmp_path / "index")


@pytest.mark.parametrize("mode, ranks", [("auto", 2), ("independent", 3), ("collective", 1),
                                         ("collective", 3), ("collective", 5)])
def test_read_modes_give_the_same_bytes(tmp_path, place, mode, ranks):
    build(place, tmp_path / "index", "--read", mode, ranks=ranks)
    assert same(tmp_path / "index", place / "index")
    run("truth", place / "in.h5", place / "in.h5", tmp_path / "truth", "-k", 20, "--read", mode,
        ranks=ranks)
    assert same(tmp_path / "truth", place / "truth")


@pytest.mark.parametrize("fan_in, ranks, rounds", [(2, 5, 3), (2, 3, 2), (3, 5, 2), (16, 5, 1)])
def test_fan_in_gives_the_same_bytes(tmp_path, place, fan_in, ranks, rounds):
    built = build(place, tmp_path / "index", "--fan-in", fan_in, ranks=ranks)
    assert built["shards"] == ranks and built["merge_rounds"] == rounds
    assert same(tmp_path / "index", place / "index")


def test_little_memory_gives_the_same_bytes(tmp_path):
    rows = numpy.random.default_rng(3).normal(size=(20000, 200)).astype("f4")
    source = save(tmp_path / "in.h5", train=rows, test=rows[:700])
    made = []
    for name, words in (("plenty", ()), ("little", ("--memory", memory(20)))):
        how = (*words, "--threads", 1, "--json", "--quiet")
        built = run("build", source, tmp_path / name, "-l", 16, "--sample", 1000, "--store", "source",
                    *how, ranks=2).json()
        truth = run("truth", source, source, tmp_path / f"{name}.t", *how, ranks=2).json()
        made.append((built["shards"], truth["passes"]))
    assert made[1][0] > made[0][0] and made[0][1] == 1, made
    assert same(tmp_path / "plenty", tmp_path / "little")
    assert same(tmp_path / "plenty.t", tmp_path / "little.t")


def test_truth_in_many_passes_is_the_same(tmp_path, place):
    source = place / "in.h5"
    words = ("truth", source, f"{source}:train", tmp_path / "little.t", "-k", 50, "--threads", 1)
    told = run(*words, "--memory", tight_memory(*words, ranks=2), "--json", ranks=2).json()
    run("truth", source, f"{source}:train", tmp_path / "plenty.t", "-k", 50, ranks=2)
    assert told["passes"] > 1
    assert same(tmp_path / "plenty.t", tmp_path / "little.t")


def test_another_seed_gives_another_index(tmp_path, place):
    build(place, tmp_path / "index", "--seed", 2)
    assert not same(tmp_path / "index", place / "index")


def test_train_then_build_is_build(tmp_path, place):
    run("build", place / "in.h5", tmp_path / "index", "--model", place / "model", "--store", "source",
        ranks=3)
    assert same(tmp_path / "index", place / "index")
    with h5py.File(place / "model") as model, h5py.File(place / "index") as index:
        assert (model["centroid"][:] == index["centroid"][:]).all()


def test_scratch_elsewhere_is_emptied_and_changes_nothing(tmp_path, place):
    (tmp_path / "scratch").mkdir()
    build(place, tmp_path / "index", "--scratch", tmp_path / "scratch", "--fan-in", 2, ranks=3)
    assert same(tmp_path / "index", place / "index")
    assert not list((tmp_path / "scratch").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index", "index.report.json", "scratch"]


@pytest.mark.parametrize("fan_in, ranks", [(16, 1), (2, 1), (2, 3), (3, 5)])
def test_merge_of_all_parts_is_one_build(tmp_path, place, fan_in, ranks):
    inputs = shards(place)[::-1]
    merged = run("merge", *inputs, tmp_path / "index", "--fan-in", fan_in, "--json", ranks=ranks).json()
    assert merged["shards"] == PARTS and merged["rows"] == 4100
    assert same(tmp_path / "index", place / "index")
    assert all(path.exists() for path in inputs)


def test_merge_of_merges_is_one_build(tmp_path, place):
    one, two, three, four = shards(place)
    run("merge", four, one, tmp_path / "a", "--partial")
    run("merge", three, two, tmp_path / "b", "--partial", ranks=2)
    run("merge", tmp_path / "a", tmp_path / "b", tmp_path / "index", ranks=2)
    assert same(tmp_path / "index", place / "index")



@pytest.mark.parametrize("left_out", [0, 1, PARTS - 1])
def test_merge_with_a_part_missing_names_its_first_row(tmp_path, place, left_out):
    with h5py.File(shards(place)[left_out]) as file:
        first, count = file["row_range"][0]
    inputs = [path for i, path in enumerate(shards(place)) if i != left_out]
    fails("merge", *inputs, tmp_path / "x", ranks=3, output=tmp_path / "x",
          says=f"{count} of 4100 rows are in no shard, the first is row {first};")


def test_partial_merge_is_a_shard_that_can_be_used(tmp_path, place):
    one, _, three, _ = shards(place)
    merged = run("merge", three, one, tmp_path / "x", "--partial", "--json", ranks=2).json()
    told = run("info", tmp_path / "x", "--json", ranks=0).json()
    assert told["kind"] == "shard" and told["source_rows"] == 4100
    assert told["rows_stored"] == told["rows_read"] == merged["rows"] < 4100
    run("verify", tmp_path / "x", ranks=2)
    run("search", tmp_path / "x", place / "in.h5", tmp_path / "r", "-p", LISTS)
    with h5py.File(tmp_path / "r") as result, h5py.File(tmp_path / "x") as shard:
        assert set(result["neighbors"][:].ravel()) <= set(shard["id"][:])


def test_kinds_of_files_are_told_apart(place):
    for name, kind in (("index", "index"), ("shard1", "shard"), ("model", "model")):
        assert run("info", place / name, "--json", ranks=0).json()["kind"] == kind


def test_merge_refuses_a_part_given_twice(tmp_path, place):
    one, two, three, four = shards(place)
    with h5py.File(two) as file:
        row = file["row_range"][0][0]
    fails("merge", one, two, two, three, four, tmp_path / "x", ranks=3, output=tmp_path / "x",
          says=f"row {row} is in more than one shard")


def test_merge_refuses_a_shard_of_another_model(tmp_path, place):
    run("train", place / "in.h5", tmp_path / "model", "-l", LISTS, "--seed", 9)
    run("build", place / "in.h5", tmp_path / "foreign", "--model", tmp_path / "model", "--store",
        "source", "--part", f"2/{PARTS}")
    one, _, three, four = shards(place)
    fails("merge", one, tmp_path / "foreign", three, four, tmp_path / "x", ranks=3,
          output=tmp_path / "x", says="another model")


def test_merge_refuses_another_model_wherever_it_stands(tmp_path, place):
    """A model that fits does not hide one that does not; the shards alone have centroids enough."""
    run("train", place / "in.h5", tmp_path / "foreign", "-l", LISTS, "--seed", 9, ranks=0)
    fits, other, all_ = place / "model", tmp_path / "foreign", shards(place)
    for files in ([fits, other, *all_], [other, fits, *all_], [*all_, other], [*all_, fits, other],
                  [other, *all_]):
        told = fails("merge", *files, tmp_path / "x", says="another model", ranks=0, output=tmp_path / "x")
        assert f"'{other}'" in told.messages()[0]
    run("merge", fits, *all_, fits, tmp_path / "x", ranks=0)
    assert same(tmp_path / "x", place / "index")


@pytest.mark.parametrize("rows, parts", [(3, 7), (1, 3)])
def test_an_empty_part_is_a_part(tmp_path, rows, parts):
    """A job array with more tasks than there are blocks of rows."""
    source = tmp_path / "in.npy"
    numpy.save(source, numpy.random.default_rng(1).normal(size=(rows, 4)).astype("f4"))
    run("train", source, tmp_path / "model", "-l", 1, ranks=0)
    how = ("--model", tmp_path / "model")
    run("build", source, tmp_path / "whole", *how, ranks=0)
    kept, empty = [], []
    for part in range(1, parts + 1):
        path = tmp_path / f"part{part}"
        told = run("build", source, path, *how, "--part", f"{part}/{parts}", "--json", ranks=0).json()
        kind = "index" if told["rows"] == rows else "shard"
        assert run("info", path, "--json", ranks=0).json()["kind"] == kind
        assert run("verify", path, "--json", ranks=0).json()["rows"] == told["rows"]
        (kept if told["rows"] else empty).append(path)
    assert (len(kept), len(empty)) == (rows, parts - rows)
    run("build", source, tmp_path / "again", *how, "--part", f"{empty[0].name[4:]}/{parts}", ranks=3)
    assert same(tmp_path / "again", empty[0])
    run("merge", *empty, *kept, tmp_path / "merged", ranks=2)
    run("merge", *kept, tmp_path / "without", ranks=0)
    assert same(tmp_path / "merged", tmp_path / "whole") and same(tmp_path / "without", tmp_path / "whole")
    fails("merge", *empty, *kept[1:], tmp_path / "y", says=f"1 of {rows} rows are in no shard", ranks=0)
    fails("merge", *empty, tmp_path / "y", ranks=0,
          says=f"{rows} of {rows} rows are in no shard, the first is row 0")
    run("merge", *empty, tmp_path / "nothing", "--partial", ranks=2)
    assert run("info", tmp_path / "nothing", "--json", ranks=0).json()["rows_stored"] == 0


def test_merge_refuses_a_shard_of_another_source(tmp_path, place):
    run("generate", tmp_path / "in.h5", "-n", 4100, "-d", 37, "--seed", 2)
    run("build", tmp_path / "in.h5", tmp_path / "foreign", "--model", place / "model", "--store",
        "source", "--part", f"2/{PARTS}")
    one, _, three, four = shards(place)
    fails("merge", one, tmp_path / "foreign", three, four, tmp_path / "x", output=tmp_path / "x",
          says="another source")


def test_merge_refuses_a_shard_of_another_codec(tmp_path, place):
    run("build", place / "in.h5", tmp_path / "f16", "--model", place / "model", "--store", "source",
        "--codec", "f16", "--part", f"2/{PARTS}")
    one, _, three, four = shards(place)
    fails("merge", one, tmp_path / "f16", three, four, tmp_path / "x", output=tmp_path / "x",
          says="another codec")


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("plane", ["id", "code", "vector"])
def test_merge_refuses_a_damaged_shard_and_names_the_list(tmp_path, place, plane, ranks):
    one, two, three, four = shards(place)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(two.read_bytes())
    with h5py.File(two) as file:
        rows, offset = file["id"].shape[0], file["list_offset"][:]
        at = file[plane].id.get_offset() + (rows // 2) * file[plane].id.get_storage_size() // rows
    hit = numpy.searchsorted(offset, rows // 2, side="right") - 1
    with open(damaged, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    fails("merge", one, damaged, three, four, tmp_path / "x", ranks=ranks, output=tmp_path / "x",
          says=f"'{damaged}' is damaged in list {hit}")


def test_a_foreign_shard_in_the_work_folder_is_refused(tmp_path):
    """It has other lists than the model, and nobody's manifest."""
    numpy.save(tmp_path / "v.npy", numpy.random.default_rng(5).standard_normal((400, 8)).astype("f4"))
    run("build", tmp_path / "v.npy", tmp_path / "other", "-l", 32, "-q")
    (tmp_path / "index.work").mkdir()
    os.rename(tmp_path / "other", tmp_path / "index.work" / "shard-0000000000000000-400.h5")
    for lists in (8, 64):
        fails("build", tmp_path / "v.npy", tmp_path / "index", "-l", lists, says="no manifest.json",
              ranks=2, output=tmp_path / "index")
