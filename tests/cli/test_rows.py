"""Rows that are bad or few: counted, listed, never lost; ranks with nothing to do."""
import json
import os
import subprocess

import h5py
import numpy
import pytest

from program import ALONE, PROGRAM, SLOW, environment, execute, fails, neighbours, run, same, save

BAD = [0, 7, 123, 124, 399]
LISTS = 6


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rows = numpy.random.default_rng(1).normal(size=(400, 5)).astype("f4")
    rows[BAD, [0, 1, 2, 3, 4]] = numpy.nan, numpy.inf, -numpy.inf, numpy.nan, numpy.inf
    good = numpy.delete(rows, BAD, axis=0)
    return save(tmp_path_factory.mktemp("rows") / "in.h5", train=rows, test=good[:5])


def info(path, *words):
    return run("info", path, "--json", *words, ranks=0).json()


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("command", ["train", "build", "truth"])
def test_a_row_that_is_not_finite_is_named(tmp_path, source, command, ranks):
    words = (source, source, tmp_path / "x") if command == "truth" else (source, tmp_path / "x", "-l", 6)
    failed = fails(command, *words, says="--bad-rows skip", ranks=ranks, output=tmp_path / "x")
    assert any(f"row {row} has" in failed.messages()[0] for row in BAD)


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_bad_row_outside_the_sample_is_found_too(tmp_path, source, ranks):
    with h5py.File(source) as file:
        rows = file["train"][:]
    for row in BAD:
        one = numpy.nan_to_num(rows, posinf=0, neginf=0)
        one[row] = numpy.nan
        save(tmp_path / "in.h5", train=one)
        fails("build", tmp_path / "in.h5", tmp_path / f"x{row}", "-l", 2, "--sample", 2, says=f"{row} has",
              ranks=ranks, output=tmp_path / f"x{row}")


@pytest.mark.parametrize("ranks", [1, 3, 5])
def test_skipped_rows_are_counted_and_listed(tmp_path, source, ranks):
    built = run("build", source, tmp_path / "x", "-l", LISTS, "--bad-rows", "skip", "--json",
                ranks=ranks).json()
    told = info(tmp_path / "x")
    assert built["rejected"] == told["rows_rejected"] == len(BAD)
    assert built["rows"] == told["rows_stored"] == 400 - len(BAD)
    assert told["rows_read"] == told["source_rows"] == told["rows_stored"] + told["rows_rejected"]
    assert told["kind"] == "index" and told["rejected_ids"] == BAD
    assert info(tmp_path / "x", "--rejected", 2)["rejected_ids"] == BAD[:2]
    with h5py.File(tmp_path / "x") as file:
        assert sorted([*file["id"][:], *file["rejected"][:]]) == list(range(400))


def resident(*words):
    """Most KiB that the program has resident, and what it prints."""
    with subprocess.Popen([PROGRAM, *map(str, words)], stdout=subprocess.PIPE,
                          env=environment(ALONE)) as process:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss, out


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_long_list_of_rejected_rows_takes_no_memory(tmp_path, form):
    """Beyond their 8 bytes each, which the file's header has."""
    rows = numpy.full((400000, 1), numpy.nan, "f2")
    rows[::1000] = 1
    numpy.save(tmp_path / "in.npy", rows)
    run("build", tmp_path / "in.npy", tmp_path / "x", "-l", 1, "--sample", 50000, "--bad-rows", "skip",
        ranks=0)
    few, _ = resident("info", tmp_path / "x", "--rejected", 0, *form)
    all_, out = resident("info", tmp_path / "x", "--rejected", "1000000", *form)
    listed = json.loads(out)["rejected_ids"] if form else [
        int(line.split()[-1]) for line in out[out.index(b"rejected_ids"):].splitlines()]
    assert listed == numpy.flatnonzero(numpy.isnan(rows[:, 0])).tolist()
    assert SLOW > 1 or all_ - few < 2048, (few, all_)


@pytest.mark.parametrize("command", ["truth", "search", "build"])
@pytest.mark.parametrize("bad", [0, 2])
def test_a_query_that_one_rank_alone_sees_as_bad_ends_all(tmp_path, source, command, bad):
    """Ranks may see other bytes under one name: a node's own copy of a file."""
    run("build", source, tmp_path / "index", "-l", LISTS, "--bad-rows", "skip", ranks=0)
    for rank in range(3):
        (tmp_path / str(rank)).mkdir()
        queries = numpy.ones((4, 5), "f4")
        queries[2, 3] = numpy.nan if rank == bad else 1
        numpy.save(tmp_path / str(rank) / "q.npy", queries)
        os.utime(tmp_path / str(rank) / "q.npy", (1e9, 1e9))
    words = {"truth": f"truth {source} q.npy {tmp_path}/x --bad-rows skip",
             "search": f"search {tmp_path}/index q.npy {tmp_path}/x",
             "build": f"build {source} {tmp_path}/x -l 6 --bad-rows skip --truth q.npy:{tmp_path}/t"}[command]
    there = f"cd '{tmp_path}'/$OMPI_COMM_WORLD_RANK"
    done = execute(["mpirun", "-n", 3, "sh", "-c", f"{there} && exec '{PROGRAM}' {words} -q"])
    assert done.code == 1 and len(done.messages()) == 1, done.err
    assert f"rank {bad or 1} " in done.messages()[0] and "'q.npy'" in done.messages()[0]
    assert not (tmp_path / "x").exists() and not (tmp_path / "t").exists()


def test_skipped_rows_are_the_same_at_any_ranks_and_in_parts(tmp_path, source):
    how = ("-l", LISTS, "--bad-rows", "skip")
    for ranks in (1, 2, 5):
        run("build", source, tmp_path / f"x{ranks}", *how, ranks=ranks)
        assert same(tmp_path / f"x{ranks}", tmp_path / "x1")
    run("train", source, tmp_path / "model", *how)
    for part in (1, 2, 3):
        run("build", source, tmp_path / f"s{part}", "--model", tmp_path / "model", "--part", f"{part}/3",
            "--bad-rows", "skip")
    assert sum(info(tmp_path / f"s{part}")["rows_read"] for part in (1, 2, 3)) == 400
    run("merge", *(tmp_path / f"s{part}" for part in (1, 2, 3)), tmp_path / "x", ranks=2)
    assert same(tmp_path / "x", tmp_path / "x1")


def test_rejected_rows_are_listed_by_the_ids_of_the_caller(tmp_path, source):
    save(tmp_path / "ids.h5", id=numpy.arange(400)[::-1] * 10 + (1 << 41))
    run("build", source, tmp_path / "x", "-l", LISTS, "--bad-rows", "skip", "--ids", tmp_path / "ids.h5",
        ranks=3)
    told = info(tmp_path / "x")
    assert told["ids"] == "dataset"
    assert told["rejected_ids"] == sorted((399 - row) * 10 + (1 << 41) for row in BAD)


def test_the_cure_that_the_message_names_works_at_once(tmp_path, source):
    fails("build", source, tmp_path / "x", "-l", LISTS, says="--bad-rows skip", output=tmp_path / "x")
    run("build", source, tmp_path / "x", "-l", LISTS, "--bad-rows", "skip")
    assert info(tmp_path / "x")["rows_rejected"] == len(BAD)


def test_only_bad_rows_is_an_error(tmp_path):
    source = save(tmp_path / "in.h5", train=numpy.full((9, 3), numpy.nan, "f4"))
    for ranks in (1, 3):
        fails("build", source, tmp_path / "x", "-l", 1, "--bad-rows", "skip", says="nothing to train on",
              ranks=ranks, output=tmp_path / "x")


@pytest.mark.parametrize("rows, lists", [(1, 1), (3, 1), (4, 4)])
def test_more_ranks_than_rows(tmp_path, rows, lists):
    values = numpy.arange(rows * 3).reshape(rows, 3).astype("f4") ** 2
    source = save(tmp_path / "in.h5", train=values, test=values)
    for ranks in (1, 5):
        out = tmp_path / str(ranks)
        out.mkdir()
        run("build", source, out / "x", "-l", lists, ranks=ranks)
        run("truth", source, source, out / "t", "-k", rows, ranks=ranks)
        run("search", out / "x", source, out / "r", "-k", rows, "-p", lists, ranks=ranks)
        run("verify", out / "x", ranks=ranks)
        run("merge", out / "x", out / "m", ranks=ranks)
        assert same(out / "x", out / "m")
    for name in ("x", "t", "r"):
        assert same(tmp_path / "1" / name, tmp_path / "5" / name), name
    ids, distances = neighbours(tmp_path / "5" / "r")
    assert (ids[:, 0] == numpy.arange(rows)).all() and (distances[:, 0] == 0).all()
    assert info(tmp_path / "5" / "x")["rows_stored"] == rows


def test_few_chunks_leave_ranks_without_a_slab(tmp_path):
    rows = numpy.random.default_rng(2).normal(size=(100, 4)).astype("f4")
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("train", data=rows, chunks=(50, 4))
        file["test"] = rows[:2]
    for mode in ("independent", "collective"):
        run("build", tmp_path / "in.h5", tmp_path / mode, "-l", 3, "--read", mode, ranks=5)
        run("truth", tmp_path / "in.h5", tmp_path / "in.h5", tmp_path / f"{mode}.t", "-k", 9, "--read",
            mode, ranks=5)
    run("build", tmp_path / "in.h5", tmp_path / "one", "-l", 3)
    assert same(tmp_path / "independent", tmp_path / "one")
    assert same(tmp_path / "collective", tmp_path / "one")
    assert same(tmp_path / "independent.t", tmp_path / "collective.t")
    told = run("build", tmp_path / "in.h5", tmp_path / "x", "--model", tmp_path / "one", "--part", "3/3",
               "--read", "collective", ranks=2)
    assert "part 3 of 3 has no rows" in told.err and info(tmp_path / "x")["rows_stored"] == 0
