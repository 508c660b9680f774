"""A file that is not the same for all ranks or parts, before and after a kill, or all the time."""
import os
import shutil

import h5py
import numpy
import pytest

from program import PROGRAM, execute, fails, memory, run, same, save, taken

ROWS, DIM = 4000, 24
MANY, WIDE = 24000, 64  # 6 MB: more than what the fingerprint has all of
LISTS = 16


def random_rows(rows, dim, seed=1):
    return numpy.random.default_rng(seed).normal(size=(rows, dim)).astype("f4")


def small(path, seed=1, rows=ROWS, dim=DIM, queries=30):
    base = random_rows(rows, dim, seed)
    return save(path, train=base, test=base[:queries] + 1, id=numpy.arange(rows) + 7)


def set_row(path, row, value, keep_time=False):
    """Write a row of a contiguous dataset in place."""
    info = os.stat(path)
    with h5py.File(path, "r+") as file:
        before = file["train"][row].copy()
        file["train"][row] = value
    if keep_time:
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    return before


def touch(path):
    """The next second, and some of it: a time that no file system takes for the same."""
    info = os.stat(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1_500_000_000))


# ---- ranks that see different files under one name ----

@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What every command reads, each file once."""
    folder = tmp_path_factory.mktemp("given")
    small(folder / "in.h5")
    small(folder / "ids.h5")
    numpy.save(folder / "in.npy", random_rows(ROWS, DIM))
    run("train", folder / "in.h5", folder / "model", "-l", LISTS)
    run("build", folder / "in.h5", folder / "index", "-l", LISTS)
    for part in (1, 2):
        run("build", folder / "in.h5", folder / f"p{part}", "--model", folder / "model", "--part", f"{part}/2")
    return folder


def apart(words, here, there, **how):
    """The program on two ranks, whose working folders, and so what names mean, are not the same."""
    one = [PROGRAM, *words]
    return execute(["mpirun", "-n", 1, "-wdir", here, *one, ":", "-n", 1, "-wdir", there, *one], **how)


COMMANDS = {
    "build": (["build", "in.h5", "OUT", "-l", LISTS], "in.h5"),
    "build-npy": (["build", "in.npy", "OUT", "-l", LISTS], "in.npy"),
    "build-ids": (["build", "in.h5", "OUT", "-l", LISTS, "--ids", "ids.h5:id"], "ids.h5"),
    "build-model": (["build", "in.h5", "OUT", "--model", "model"], "model"),
    "train": (["train", "in.h5", "OUT", "-l", LISTS], "in.h5"),
    "shuffle": (["shuffle", "in.h5", "OUT"], "in.h5"),
    "truth-base": (["truth", "in.npy", "in.h5", "OUT", "-k", 5], "in.npy"),
    "truth-queries": (["truth", "in.npy", "in.h5", "OUT", "-k", 5], "in.h5"),
    "search-index": (["search", "index", "in.h5", "OUT", "-k", 5], "index"),
    "search-queries": (["search", "index", "in.h5", "OUT", "-k", 5], "in.h5"),
    "merge": (["merge", "p1", "p2", "model", "OUT"], "p2"),
    "verify": (["verify", "index"], "index"),
}
CASES = [(name, "content") for name in COMMANDS if name != "merge"]  # it compares lists as it goes
CASES += [(name, "time") for name in ("build", "build-ids", "build-model", "truth-base", "shuffle",
                                      "search-index", "merge")]
CASES += [(name, change) for name in ("build", "search-index", "merge") for change in ("longer", "gone")]


@pytest.mark.parametrize("name, change", CASES)
def test_a_rank_that_sees_another_file_is_named(given, tmp_path, name, change):
    words, file = COMMANDS[name]
    there, out = tmp_path / "there", tmp_path / "out"
    shutil.copytree(given, there)
    if change == "time":
        touch(there / file)
        says = f"sees another '{file}': modified 2"
    elif change == "longer":
        with open(there / file, "ab") as longer:
            longer.write(b"\0" * 100)
        bytes_of = os.path.getsize(there / file)
        says = f"sees another '{file}': {bytes_of} bytes there, {bytes_of - 100} on rank 0"
    elif change == "gone":
        os.remove(there / file)
        says = f"cannot open '{file}': No such file or directory; put it on"
    else:
        says = f"finds other content in '{file}"
        other_content(given / file, there / file)
    done = apart([str(out) if word == "OUT" else str(word) for word in words] + ["-q"], given, there)
    assert done.code == 1, f"{done.code}\n{done.out}{done.err}"
    lines = done.messages()
    assert len(lines) == 1 and says in lines[0] and ": rank 1 on " in lines[0], done.err
    assert not out.exists() and not os.path.exists(f"{out}.work")


def other_content(path, copy):
    """Change bytes of `copy` that no size and no time tells."""
    info = os.stat(path)
    with open(copy, "r+b") as file:
        if path.suffix in (".h5", ".npy"):
            rows = h5py.File(path)["train"].id.get_offset() if path.suffix == ".h5" else 128
            places = [rows + 8]
            if path.suffix == ".h5":
                with h5py.File(path) as whole:
                    places += [whole[name].id.get_offset() + 8 for name in ("test", "id")]
        else:
            with h5py.File(path) as whole:
                places = [whole["list_checksum"].id.get_offset()]
        for place in places:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
    os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_copies_with_their_time_are_the_same_file(given, tmp_path):
    """Also when a copy has lost the fraction of the second."""
    there = tmp_path / "there"
    shutil.copytree(given, there)  # keeps the times
    info = os.stat(there / "in.h5")
    os.utime(there / "in.h5", ns=(0, info.st_mtime_ns // 10**9 * 10**9))
    words = ["build", "in.h5", str(tmp_path / "out"), "-l", str(LISTS), "-q"]
    taken()
    done = apart(words, given, there, env={"MPIVF_FAULT": "file-rename:0:4:kill"})
    assert done.code != 0 and not done.messages(), done.err
    done = apart(words, given, there)  # the ranks are one about what there is to go on with
    assert done.code == 0, done.err
    assert same(tmp_path / "out", given / "index")


def test_a_query_that_one_rank_cannot_use_ends_all(given, tmp_path):
    """Beyond what the fingerprint samples, of the same size and time: told where it is met."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "q.h5", test=random_rows(80000, DIM, 3))
        os.utime(tmp_path / name / "q.h5", ns=(0, 10**18))
    with h5py.File(tmp_path / "there" / "q.h5", "r+") as file:
        file["test"][10::20] = numpy.nan
    os.utime(tmp_path / "there" / "q.h5", ns=(0, 10**18))
    words = ["search", str(given / "index"), "q.h5", str(tmp_path / "out"), "-k", "3", "-q"]
    done = apart(words, tmp_path / "here", tmp_path / "there")
    assert done.code == 1 and len(done.messages()) == 1, done.err
    assert "rank 1" in done.messages()[0]


# ---- in the middle of a run ----

MIDDLE = {  # the command, the file that changes, the fault point and which pass
    "build": (["build", "in.h5", "OUT", "-l", LISTS], "in.h5", "hdf5-create", 1),
    "build-ids": (["build", "in.h5", "OUT", "-l", LISTS, "--ids", "ids.h5:id"], "ids.h5", "hdf5-create", 1),
    "train": (["train", "in.h5", "OUT", "-l", LISTS], "in.h5", "file-read", 7),  # after the fingerprint
    "truth-base": (["truth", "in.npy", "in.h5", "OUT", "-k", 5], "in.npy", "folder-create", 1),
    "truth-queries": (["truth", "in.npy", "in.h5", "OUT", "-k", 5], "in.h5", "folder-create", 1),
    "shuffle": (["shuffle", "in.h5", "OUT"], "in.h5", "hdf5-create", 1),
    "search": (["search", "index", "in.h5", "OUT", "-k", 5], "index", "file-read", 8),  # a list
    "merge": (["merge", "p1", "p2", "model", "OUT"], "p2", "file-read", 30),
}


@pytest.mark.parametrize("name", MIDDLE)
def test_a_file_that_is_modified_while_it_is_read_ends_the_run(given, tmp_path, name):
    taken()  # skips where there are no fault points
    words, file, site, nth = MIDDLE[name]
    place = tmp_path / "given"
    shutil.copytree(given, place)
    path = place / file

    def command(out):
        return [out if word == "OUT" else place / word if word in os.listdir(given) else
                f"{place}/{word}" if word == "ids.h5:id" else word for word in words]
    env = {"MPIVF_FAULT": f"{site}:0:{nth}:run", "MPIVF_FAULT_RUN": f"touch -d @2000000000.25 {path}"}
    fails(*command(tmp_path / "out"), ranks=2, env=env, output=tmp_path / "out",
          says=f"'{path}' was modified while it was read (at 2033-05-1")
    run(*command(tmp_path / "out"), ranks=2)  # and again, when nobody writes to it


def test_queries_of_a_search_are_watched_too(given, tmp_path):
    taken()
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file.create_dataset("test", data=random_rows(64, DIM), chunks=(64, DIM))
    env = {"MPIVF_FAULT": "hdf5-read:0:2:run", "MPIVF_FAULT_RUN": f"touch -d @2000000000 {tmp_path}/q.h5"}
    fails("search", given / "index", tmp_path / "q.h5", tmp_path / "out", "-k", 3, ranks=2, env=env,
          says="q.h5' was modified while it was read", output=tmp_path / "out")


# ---- between a kill and the next run ----

@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    save(folder / "in.h5", train=random_rows(MANY, WIDE, 5), test=random_rows(20, WIDE, 6))
    run("train", folder / "in.h5", folder / "model", "-l", LISTS, "--sample", 2000)
    run("build", folder / "in.h5", folder / "index", "--model", folder / "model")
    return folder


def copy_of(many, tmp_path):
    return shutil.copy2(many / "in.h5", tmp_path / "in.h5")


def killed(words, fault, ranks=0):
    taken()  # skips where there are no fault points
    done = run(*words, ranks=ranks, env={"MPIVF_FAULT": f"{fault}:kill"}, check=False)
    assert done.code != 0 and not done.messages(), done.err


def covered(work):
    """Which rows the shards have that a kill left."""
    shards = [h5py.File(work / name)["row_range"][:] for name in sorted(os.listdir(work))
              if name.startswith("shard-") and name.endswith(".h5")]
    inside = numpy.zeros(MANY, bool)
    for ranges in shards:
        for first, count in ranges:
            inside[int(first):int(first + count)] = True
    return inside


def phases(out):
    import json
    return [phase["phase"] for phase in json.load(open(f"{out}.report.json"))["phases"]]


def interrupted_build(many, tmp_path):
    """The command, its source and what a build left that was killed with its third shard."""
    source = copy_of(many, tmp_path)
    words = ["build", source, tmp_path / "out", "--model", many / "model", "--memory", memory(8), "-t", 1]
    killed(words, "file-rename:0:5")  # the manifest, two shards
    return words, source, covered(tmp_path / "out.work")


@pytest.mark.parametrize("change", ["nothing", "copied", "touched"])
def test_a_build_goes_on_when_the_file_has_the_same_rows(many, tmp_path, change):
    words, source, inside = interrupted_build(many, tmp_path)
    assert 0 < inside.sum() < MANY
    if change == "copied":
        os.rename(shutil.copy2(source, tmp_path / "other.h5"), source)
    elif change == "touched":
        touch(source)
    told = run(*words, "--json", ranks=2).json()
    assert told["reused_rows"] == inside.sum()
    assert same(tmp_path / "out", many / "index")
    assert ("recheck" in phases(tmp_path / "out")) == (change == "touched")


def test_a_build_is_refused_when_rows_of_a_shard_have_changed(many, tmp_path):
    words, source, inside = interrupted_build(many, tmp_path)
    time = os.stat(source).st_mtime_ns
    told = []
    for row in numpy.flatnonzero(inside)[::inside.sum() // 4]:
        before = set_row(source, row, 3)
        done = fails(*words, ranks=2, says=f"'{source}", output=tmp_path / "out")
        told.append(done.messages()[0])
        assert " changed since " in told[-1]
        set_row(source, row, before)
        os.utime(source, ns=(time, time))
    # few rows are in the fingerprint, which is looked at first
    found = [line for line in told if "changed since this work began: " in line]
    assert found and all("have changed; start over with --force" in line for line in found), told
    run(*words, ranks=2)
    assert same(tmp_path / "out", many / "index")


def change_beyond_the_fingerprint(words, source, inside, output):
    """Change one of the rows `inside` that is only found to be another by reading them all again."""
    time = os.stat(source).st_mtime_ns
    for row in numpy.flatnonzero(inside)[::inside.sum() // 8]:
        before = set_row(source, row, 3)
        told = fails(*words, ranks=0, says="start over with --force", output=output).messages()[0]
        if "changed since this work began: " in told:
            return
        set_row(source, row, before)
        os.utime(source, ns=(time, time))
    assert False, "all rows are in the fingerprint"


def test_force_starts_a_build_over_when_rows_have_changed(many, tmp_path):
    words, source, inside = interrupted_build(many, tmp_path)
    change_beyond_the_fingerprint(words, source, inside, tmp_path / "out")
    assert run(*words, "--force", "--json", ranks=2).json()["reused_rows"] == 0
    run("build", source, tmp_path / "clean", "--model", many / "model")
    assert same(tmp_path / "out", tmp_path / "clean")
    assert not (tmp_path / "out.work").exists()


def test_a_named_index_is_done_only_for_the_file_that_it_was_made_of(many, tmp_path):
    """Killed between giving the index its name and removing the work folder."""
    source, out, work = copy_of(many, tmp_path), tmp_path / "out", tmp_path / "out.work"
    words = ["build", source, out, "--model", many / "model", "-t", 1]
    nth = 0
    while not out.exists():
        nth += 1
        killed(words, f"file-rename:0:{nth}")
    assert nth > 2 and (work / "manifest.json").exists()
    set_row(source, MANY - 1, 3)
    index = out.read_bytes()
    fails(*words, ranks=2, says="out' exists; --force replaces it")
    assert out.read_bytes() == index and work.exists()
    run(*words, "--force", ranks=2)
    run("build", source, tmp_path / "clean", "--model", many / "model")
    assert same(out, tmp_path / "clean") and out.read_bytes() != index and not work.exists()


@pytest.mark.parametrize("what", ["model.h5", "shard"])
@pytest.mark.parametrize("place", [0, 40, -50, "values"])
def test_damage_in_the_work_folder_is_started_over_from(many, tmp_path, what, place):
    source, work = copy_of(many, tmp_path), tmp_path / "out.work"
    words = ["build", source, tmp_path / "out", "-l", LISTS, "--sample", 2000, "-t", 1]
    killed(words, "file-rename:0:5")
    path = next(work / name for name in sorted(os.listdir(work)) if name.startswith(what) and name.endswith(".h5"))
    with h5py.File(path) as file:
        values = file["centroid" if what == "model.h5" else "code"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(values if place == "values" else place, 2 if place == -50 else 0)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0x40]))
    told = fails(*words, ranks=2, says=f"the work in '{work}' is damaged; start over with --force", output=tmp_path / "out")
    assert path.name in told.err
    assert run(*words, "--force", "--json", ranks=2).json()["reused_rows"] == 0
    assert same(tmp_path / "out", many / "index") and not work.exists()


@pytest.mark.parametrize("manifest", ["{", '{"format": "another"}', "{}\n"])
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_folder_with_the_manifest_of_somebody_else_is_not_touched(many, tmp_path, manifest, ranks):
    """Damage is what a claimed folder may have; this one is not claimed, with --force neither."""
    source, work = copy_of(many, tmp_path), tmp_path / "out.work"
    work.mkdir()
    for name, text in {"manifest.json": manifest, "model.h5": "mine", "zz.txt": "mine", "a.txt": "mine",
                       "shard-0000000000000000-30.h5": "mine"}.items():
        (work / name).write_text(text)
    before = {name: (work / name).read_bytes() for name in os.listdir(work)}
    for force in [], ["--force"]:
        told = fails("build", source, tmp_path / "out", "-l", LISTS, *force, ranks=ranks,
                     says=f"cannot read '{work}/manifest.json'; remove the folder", output=tmp_path / "out")
        assert "--force" not in told.err
        assert {name: (work / name).read_bytes() for name in os.listdir(work)} == before


def test_rows_that_no_shard_has_may_change(many, tmp_path):
    """The index is that of the file as it is now, whatever was done before."""
    words, source, inside = interrupted_build(many, tmp_path)
    time, went_on = os.stat(source).st_mtime_ns, False
    for row in numpy.flatnonzero(~inside)[::(~inside).sum() // 6]:
        before = set_row(source, row, 3)
        if run(*words, ranks=0, check=False).code == 0:
            went_on = True
            break
        set_row(source, row, before)  # it was in the fingerprint
        os.utime(source, ns=(time, time))
    assert went_on
    run("build", source, tmp_path / "clean", "--model", many / "model")
    assert same(tmp_path / "out", tmp_path / "clean")


def test_a_model_in_the_work_folder_is_of_the_same_sample(many, tmp_path):
    """Touched, it is used; of other rows, it is trained anew; once there are shards, all is refused."""
    source = copy_of(many, tmp_path)
    words = ["build", source, tmp_path / "out", "-l", LISTS, "--sample", MANY, "--iterations", 2,
             "--memory", memory(8), "-t", 1]
    killed(words, "file-rename:0:4")  # the manifest and the model
    assert (tmp_path / "out.work" / "model.h5").exists() and not covered(tmp_path / "out.work").any()
    model = (tmp_path / "out.work" / "model.h5").read_bytes()
    touch(source)
    killed(words, "file-rename:0:4")  # the manifest, a shard
    assert covered(tmp_path / "out.work").any()
    assert (tmp_path / "out.work" / "model.h5").read_bytes() == model
    time, outside = os.stat(source).st_mtime_ns, numpy.flatnonzero(~covered(tmp_path / "out.work"))
    told = []
    for row in outside[::len(outside) // 4]:
        before = set_row(source, row, 3)
        told.append(fails(*words, ranks=0, says="changed since", output=tmp_path / "out").messages()[0])
        set_row(source, row, before)
        os.utime(source, ns=(time, time))
    assert any("model.h5' was made of have changed" in line for line in told), told


def compared(work):
    """The rows that the checkpoints a truth has kept were compared with."""
    inside = numpy.zeros(MANY, bool)
    for name in os.listdir(work):
        if name.startswith("checkpoint-") and not name.endswith(".partial"):
            words = numpy.fromfile(work / name, "<u8")
            for first, count in words[33:33 + 2 * int(words[6])].reshape(-1, 2):
                inside[int(first):int(first + count)] = True
    return inside


def test_a_truth_goes_on_or_is_refused_by_what_it_compared(many, tmp_path):
    source = copy_of(many, tmp_path)
    words = ["truth", source, source, tmp_path / "out", "-k", 5, "--checkpoint", 0, "-t", 1]
    run(*words[:3], tmp_path / "clean", *words[4:])
    killed(words + ["--memory", memory(12)], "file-rename:0:4")
    inside, time, told = compared(tmp_path / "out.work"), os.stat(source).st_mtime_ns, []
    assert 0 < inside.sum() < MANY
    for row in numpy.flatnonzero(inside)[::inside.sum() // 4]:
        before = set_row(source, row, 3)
        told.append(fails(*words, ranks=0, says="changed since", output=tmp_path / "out").messages()[0])
        set_row(source, row, before)
        os.utime(source, ns=(time, time))
    assert any("rows that were compared have changed" in line for line in told), told
    touch(source)
    assert run(*words, "--json", ranks=2).json()["reused_rows"] == inside.sum()
    assert same(tmp_path / "out", tmp_path / "clean") and "recheck" in phases(tmp_path / "out")


def test_force_starts_a_truth_over_when_rows_have_changed(many, tmp_path):
    source = copy_of(many, tmp_path)
    words = ["truth", source, source, tmp_path / "out", "-k", 5, "--checkpoint", 0, "-t", 1]
    killed(words + ["--memory", memory(12)], "file-rename:0:4")
    change_beyond_the_fingerprint(words, source, compared(tmp_path / "out.work"), tmp_path / "out")
    assert run(*words, "--force", "--json", ranks=2).json()["reused_rows"] == 0
    run(*words[:3], tmp_path / "clean", *words[4:])
    assert same(tmp_path / "out", tmp_path / "clean")
    assert not (tmp_path / "out.work").exists()


def test_rows_that_have_asked_may_not_change(many, tmp_path):
    """With --self, a row that nobody was compared with yet has asked for its neighbours."""
    source = save(tmp_path / "in.h5", train=random_rows(5000, 256, 8))
    words = ["truth", source, tmp_path / "out", "--self", "-k", 3, "--checkpoint", 0, "-t", 1,
             "--bad-rows", "fail", "--memory", memory(32)]
    killed(words, "file-rename:0:3")
    time, told = os.stat(source).st_mtime_ns, []
    for row in range(10, 5000, 1300):
        before = set_row(source, row, 3)
        told.append(fails(*words, ranks=0, says="changed since", output=tmp_path / "out").messages()[0])
        set_row(source, row, before)
        os.utime(source, ns=(time, time))
    assert any("queries that were compared have changed" in line for line in told), told


# ---- between the parts of a job array ----

def test_parts_of_one_version_say_nothing(many, tmp_path):
    parts(many / "in.h5", many, tmp_path)
    done = run("merge", tmp_path / "p1", tmp_path / "p2", tmp_path / "out", "--json")
    assert done.json()["source_versions"] == 1 and "version" not in done.err
    assert "the source was not the same" not in done.err
    assert same(tmp_path / "out", many / "index")


def parts(source, many, tmp_path, between=None):
    for part in (1, 2):
        run("build", source, tmp_path / f"p{part}", "--model", many / "model", "--part", f"{part}/2",
            ranks=part)
        if part == 1 and between:
            between()


def test_merge_notes_parts_of_several_versions(many, tmp_path):
    """Copies, perhaps: the bytes are those of one build."""
    source = copy_of(many, tmp_path)
    parts(source, many, tmp_path, lambda: touch(source))
    done = run("merge", tmp_path / "p2", tmp_path / "p1", tmp_path / "out", "--json", ranks=2)
    assert done.json()["source_versions"] == 2
    told = [line for line in done.messages() if "the source was not the same for all shards" in line]
    assert len(told) == 1 and f"'{tmp_path}/p1' was made of {os.path.getsize(source)} bytes" in told[0]
    assert same(tmp_path / "out", many / "index")


def test_a_partial_merge_keeps_what_its_shards_know(many, tmp_path):
    source = copy_of(many, tmp_path)
    for part in (1, 2, 3):
        run("build", source, tmp_path / f"p{part}", "--model", many / "model", "--part", f"{part}/3")
        if part == 1:
            touch(source)
    run("merge", tmp_path / "p2", tmp_path / "p3", tmp_path / "one", "--partial")
    run("merge", tmp_path / "p1", tmp_path / "p2", tmp_path / "two", "--partial")
    told = {name: run("info", tmp_path / name, "--json", ranks=0).json() for name in ("p2", "one", "two")}
    assert told["one"]["source_version"] == told["p2"]["source_version"] != told["two"]["source_version"]
    assert told["two"]["source_version"] == "several versions of it"
    one, two, three = (dict(h5py.File(tmp_path / name).attrs) for name in ("one", "p2", "p3"))
    assert one["source_modified"] == two["source_modified"] == os.stat(source).st_mtime_ns
    assert one["source_bytes"] == os.path.getsize(source)
    total = (int(two["rows_checksum"]) + int(three["rows_checksum"])) % 2**64
    assert int(one["rows_checksum"]) == total
    for name in ("one", "two"):
        run("verify", tmp_path / name)
    merged = run("merge", tmp_path / "two", tmp_path / "p3", tmp_path / "out", "--json").json()
    assert merged["source_versions"] == 2 and same(tmp_path / "out", many / "index")


def test_parts_of_other_rows_are_refused(given, tmp_path):
    """A small source is in the fingerprint as a whole: one value is enough."""
    source = shutil.copy(given / "in.h5", tmp_path / "in.h5")
    run("build", source, tmp_path / "p1", "--model", given / "model", "--part", "1/2")
    set_row(source, ROWS - 1, 3)
    run("build", source, tmp_path / "p2", "--model", given / "model", "--part", "2/2")
    fails("merge", tmp_path / "p1", tmp_path / "p2", tmp_path / "out", output=tmp_path / "out",
          says=f"p2' was made with another source than '{tmp_path}/p1' (of {os.path.getsize(source)} bytes")


def test_an_index_does_not_tell_the_time_of_its_source(many, tmp_path):
    source = copy_of(many, tmp_path)
    touch(source)
    run("build", source, tmp_path / "out", "--model", many / "model", ranks=3)
    assert same(tmp_path / "out", many / "index")
    with h5py.File(tmp_path / "out") as file:
        assert not {"source_version", "source_bytes", "source_modified", "rows_checksum"} & set(file.attrs)
