"""A build that is killed, anywhere: the same command, with any number of ranks, ends with the
bytes of a run that nobody killed."""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import time

import h5py
import pytest
from faults import AT_ONCE, SOAK, TIMEOUT, contents, drop_empty, has_work, kill_tree
from program import PROGRAM, environment, fails, run

SITES = ["file-write", "file-sync", "file-rename", "file-remove", "file-create", "file-read",
         "hdf5-create", "hdf5-write", "hdf5-read", "folder-create", "folder-remove", "json-write", "alloc"]


@pytest.fixture(scope="module")
def clean(scenarios, tmp_path_factory):
    """clean(name, ranks): the right bytes and the passes of a run without faults."""
    kept = {}

    def get(name, ranks):
        if (name, ranks) not in kept:
            root = str(tmp_path_factory.mktemp("clean"))
            kept[name, ranks] = scenarios[name].clean(root, ranks)
        return kept[name, ranks]
    return get


# What the index and its report are written to.
PARTIAL = re.compile(r"out\.(idx|h5)(\.report\.json)?\.[0-9a-f]{16}\.partial$")


def killed(words, ranks, fault):
    return run(*words, ranks=ranks, env={"MPIVF_FAULT": fault + ":kill"},
               timeout=TIMEOUT, check=False)


def names(folder):
    return set(os.listdir(folder)) - {"out.idx.report.json"}


def finish(words, folder, ranks, right, case=""):
    """Run the command to its end; what it says as JSON."""
    said = run(*words, "--json", ranks=ranks).json()
    assert contents(f"{folder}/out.idx") == right, f"{case}: other bytes"
    assert names(folder) == {"out.idx"}, f"{case}: {names(folder)} is left"
    return said


def kill_and_finish(scenario, folder, ranks, fault, right):
    """The outcome of one kill as a word."""
    case = f"{scenario.name} on {ranks} ranks, killed at {fault}"
    os.makedirs(folder)
    words = scenario.words(folder)
    done = killed(words, ranks, fault)
    if done.code == 0:
        assert contents(f"{folder}/out.idx") == right, f"{case}: other bytes without a kill"
        return "not reached"
    assert not done.messages(), f"{case}: killed, and yet\n{done.err}"
    there = contents(f"{folder}/out.idx")
    assert there is None or there == right, f"{case}: a wrong index under the final name"
    left = {name for name in names(folder) - {"out.idx", "out.idx.work"} if not PARTIAL.match(name)}
    assert not left, f"{case}: {left} is left"
    if there and not has_work(f"{folder}/out.idx.work"):
        # the work folder goes last, so all was done
        assert os.path.exists(f"{folder}/out.idx.report.json"), case
        return "finished before"
    finish(words, folder, 1 + ranks % 3, right, case)
    shutil.rmtree(folder)
    return "resumed"


def kill_matrix(scenario, root, ranks, clean, passes_of):
    right, passes = clean(scenario.name, ranks)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = []
        for site in SITES:
            for rank in (0, ranks - 1):
                count = passes[site, rank]
                for nth in sorted(set(passes_of(count))) if count else ():
                    jobs.append(pool.submit(kill_and_finish, scenario,
                                            f"{root}/{site}-{rank}-{nth}", ranks,
                                            f"{site}:{rank}:{nth}", right))
    outcomes = [job.result() for job in jobs]
    tally = {word: outcomes.count(word) for word in set(outcomes)}
    print(f"{len(jobs)} kills: {tally}")
    if os.environ.get("MPIVF_FAULT_TALLY"):
        with open(os.environ["MPIVF_FAULT_TALLY"], "a") as file:
            file.write(f"kills {scenario.name} {ranks} {len(jobs)} {tally}\n")
    assert tally["resumed"] > len(jobs) / 2, tally
    assert tally.get("not reached", 0) <= len(jobs) / 10, tally


def test_a_rank_killed_early_and_midway(scenarios, root, clean):
    kill_matrix(scenarios["build-spill"], root, 3, clean,
                lambda count: range(1, count + 1) if SOAK else
                (1, (count + 1) // 2))


def test_a_rank_killed_late(scenarios, root, clean):
    kill_matrix(scenarios["build-train"], root, 2, clean, lambda count: (count,))


@pytest.mark.parametrize("seed", range(20 if SOAK else 3))
def test_killed_again_and_again_at_random_times(scenarios, root, clean, seed):
    right, _ = clean("build-spill", 2)
    chance = random.Random(seed)
    folder = f"{root}/out"
    os.makedirs(folder)
    words = [str(word) for word in scenarios["build-spill"].words(folder)]
    # what a killed mpirun leaves of its own goes where pytest tidies up
    env = environment({"OMP_NUM_THREADS": "1", "OMPI_MCA_orte_tmpdir_base": root,
                       "OMPI_MCA_btl_vader_backing_directory": root})
    start = time.monotonic()
    run(*scenarios["build-spill"].words(f"{root}"), ranks=2)
    usual = time.monotonic() - start
    kills = 0
    while kills < 5:
        ranks = chance.choice((1, 2, 3))
        process = subprocess.Popen(["mpirun", "-n", str(ranks), PROGRAM, *words], env=env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(timeout=chance.uniform(0.3, 1.0) * usual)
            err = process.stderr.read().decode()
            assert process.returncode == 0, f"after {kills} kills:\n{err}"
            if kills:
                break
            usual /= 2  # it was done before the kill: once more, and sooner
            os.remove(f"{folder}/out.idx")
            continue
        except subprocess.TimeoutExpired:
            kill_tree(process)
            kills += 1
        process.stderr.close()
        there = contents(f"{folder}/out.idx")
        assert there is None or there == right, f"a wrong index after {kills} kills"
        if there and not has_work(f"{folder}/out.idx.work"):
            break  # whole and tidied up
    assert kills > 0
    if contents(f"{folder}/out.idx") is None or has_work(f"{folder}/out.idx.work"):
        finish(words, folder, 2, right, f"after {kills} kills")
    assert contents(f"{folder}/out.idx") == right
    drop_empty(folder)
    assert names(folder) == {"out.idx"}


@pytest.fixture
def stopped(scenarios, root, clean):
    """(words, folder, right): a build killed between its last shard and the merge."""
    folder = f"{root}/out"
    os.makedirs(folder)
    words = scenarios["build-spill"].words(folder)
    # lists of files: of the index's folder, of a new work folder, and once all rows are in shards
    assert killed(words, 2, "folder-list:0:3").code != 0
    right, _ = clean("build-spill", 2)
    return words, folder, right


def shards(folder):
    return sorted(name for name in os.listdir(f"{folder}/out.idx.work") if name.startswith("shard-"))


def shard_rows(folder, name):
    with h5py.File(f"{folder}/out.idx.work/{name}") as file:
        return int(file.attrs["rows"])


def test_a_late_kill_loses_no_row(stopped):
    words, folder, right = stopped
    assert len(shards(folder)) > 2
    rows = sum(shard_rows(folder, name) for name in shards(folder))
    said = finish(words, folder, 3, right)
    assert said["reused_rows"] == said["rows"] == rows > 0


def test_an_early_kill_reuses_nothing(scenarios, root, clean):
    folder = f"{root}/out"
    os.makedirs(folder)
    words = scenarios["build-spill"].words(folder)
    assert killed(words, 2, "folder-create:0:1").code != 0
    assert finish(words, folder, 3, clean("build-spill", 2)[0])["reused_rows"] == 0


def test_a_kill_amid_the_shards_loses_only_the_open_ones(scenarios, root, clean):
    folder = f"{root}/out"
    os.makedirs(folder)
    words = scenarios["build-train"].words(folder)
    assert killed(words, 2, "file-rename:1:1").code != 0
    said = finish(words, folder, 3, clean("build-train", 2)[0])
    assert said["reused_rows"] < said["rows"]


def test_another_command_is_refused_and_the_difference_named(stopped):
    words, folder, right = stopped
    before = shards(folder)
    for change, says in ((["--codec", "f32"], 'codec is "int8" there and "f32" here'),
                         (["--store", "none"], "store is true there and false here"),
                         (["--seed", 7], "seed is 1 there and 7 here")):
        fails(*words, *change, says=says, ranks=2)
        assert not os.path.exists(f"{folder}/out.idx") and shards(folder) == before
    finish(words, folder, 1, right)


def test_a_lost_shard_is_built_again(stopped):
    words, folder, right = stopped
    lost = shards(folder)[1]
    rows = shard_rows(folder, lost)
    os.remove(f"{folder}/out.idx.work/{lost}")
    said = finish(words, folder, 3, right)
    assert said["reused_rows"] == said["rows"] - rows


def test_shards_without_a_manifest_are_nobodys(stopped):
    """Whose they are cannot be told, so they are neither merged nor removed."""
    words, folder, right = stopped
    manifest = f"{folder}/out.idx.work/manifest.json"
    os.rename(manifest, f"{folder}/kept")
    before = shards(folder)
    fails(*words, says="no manifest.json", ranks=3)
    assert before and shards(folder) == before
    os.rename(f"{folder}/kept", manifest)
    assert finish(words, folder, 3, right)["reused_rows"] > 0


def test_files_of_others_stay(stopped):
    words, folder, right = stopped
    mine = ["notes.txt", "download.h5.partial", "joined-tables.csv", "joined-0-1", "shard-notes.txt", "shard-0-1.h5",
            "shard-0000000000000000-+1.h5", "shard-0000000000000000-1.h5.partial2", "model.h5.old"]
    for name in mine:
        with open(f"{folder}/out.idx.work/{name}", "w") as file:
            file.write("mine")
    run(*words, ranks=2)
    assert contents(f"{folder}/out.idx") == right
    assert sorted(os.listdir(f"{folder}/out.idx.work")) == sorted(mine)
    assert all(contents(f"{folder}/out.idx.work/{name}") == b"mine" for name in mine)


def flip(path, dataset):
    with h5py.File(path) as file:
        at = file[dataset].id.get_offset() + file[dataset].id.get_storage_size() // 2
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


@pytest.mark.parametrize("damage", ["code", "vector", "id", "list_offset", "row_range", "cut", "text"])
def test_a_damaged_shard_is_named_and_never_merged(stopped, damage):
    words, folder, right = stopped
    bad = shards(folder)[1]
    path = f"{folder}/out.idx.work/{bad}"
    if damage == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
    elif damage == "text":
        open(path, "w").write("no HDF5 at all")
    else:
        flip(path, damage)
    fails(*words, says=bad, ranks=3, output=f"{folder}/out.idx")
    assert names(folder) == {"out.idx.work"}
    if os.path.exists(path):
        os.remove(path)
        finish(words, folder, 2, right)


def kill_and_shuffle_again(scenario, folder, ranks, fault, right):
    """It keeps no progress: what a kill leaves are partial files, which are in nobody's way."""
    os.makedirs(folder)
    words = scenario.words(folder)
    done = killed(words, ranks, fault)
    left = set(os.listdir(folder))
    assert done.code != 0 and not done.messages(), f"{fault}: killed, and yet\n{done.err}"
    whole = "out.h5" in left  # only the report was missing
    assert all(PARTIAL.match(name) for name in left - {"out.h5"}), f"{fault}: {left}"
    assert not whole or contents(f"{folder}/out.h5") == right, f"{fault}: wrong under the final name"
    words.remove("-q")
    told = run(*words, *["--force"][:whole], ranks=1 + ranks % 3).err
    assert contents(f"{folder}/out.h5") == right, f"{fault}: other bytes"
    left = set(os.listdir(folder)) - {"out.h5", "out.h5.report.json"}
    assert all(f"{name}' was left by an earlier run" in told for name in left), f"{fault}: {left}\n{told}"
    assert len(left) <= 1 and all(os.path.getsize(f"{folder}/{name}") for name in left), fault
    return whole


def test_a_killed_shuffle_begins_anew(scenarios, root, clean):
    right, passes = clean("shuffle", 3)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = []
        for (site, rank), count in sorted(passes.items()):
            if rank == 1 or (rank == 0 and (site, 2) in passes and not SOAK):
                continue
            for nth in range(1, count + 1) if SOAK else (count,):
                jobs.append(pool.submit(kill_and_shuffle_again, scenarios["shuffle"],
                                        f"{root}/{site}-{rank}-{nth}", 3, f"{site}:{rank}:{nth}", right))
    whole = [job.result() for job in jobs]
    print(f"{len(jobs)} kills, {sum(whole)} of them after the end")
    assert 0 < sum(whole) < len(jobs) / 2
