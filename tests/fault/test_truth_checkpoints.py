"""What a truth kept and cannot use: damaged, lost, of others; rows left out; disks that are full."""
import fcntl
import os
import shutil
import struct
import subprocess

import numpy
import pytest
from faults import contents, launch
from program import fails, run, save
from truths import WORK, K, Job, assert_done, checkpoints, finish, names, works

# The sixth look into the folder: some queries have all rows, and the next pass or the end begins.
ANSWERED = "folder-list:0:6"


@pytest.fixture
def stopped(jobs, root, clean_truth):
    """stopped(name, fault): the job, its folder with what a kill left, the right bytes."""
    def get(name="truth", ranks=2, fault=None):
        folder = f"{root}/out"
        os.makedirs(folder)
        if fault is None:  # amid the rows: the checkpoints of several reads are there
            fault = f"file-rename:{ranks - 1}:3"
        done = run(*jobs[name].words(folder), ranks=ranks, check=False,
                   env={"MPIVF_FAULT": fault + ":kill"})
        assert done.code != 0 and not done.messages(), done.err
        assert works(folder)
        return jobs[name], folder, clean_truth(name, 2)[0]
    return get


def reused(done):
    return done.json()["reused_rows"]


def test_work_is_not_done_twice(stopped):
    job, folder, right = stopped()
    assert checkpoints(folder, WORK)
    assert reused(finish(job, folder, 3, right)) > 0


def test_work_of_other_ranks_memory_and_threads_goes_on(stopped):
    """A checkpoint of more queries than fit now, and the other way round."""
    job, folder, right = stopped(ranks=3)
    more = job.words(folder) + ["--memory", "2G", "--threads", 2]
    assert run(*more, "--json", ranks=1, env={"MPIVF_FAULT": "file-rename:0:3:kill"}, check=False).code != 0
    finish(job, folder, 2, right)


def head_bytes(path):
    """Of a checkpoint: 7 words, rejected rows of 16 segments, two stamps of 4, two sums; 16 bytes a range."""
    ranges = int(numpy.fromfile(path, "<u8", count=7)[6])
    return 33 * 8, 16 * ranges


def largest(folder):
    """The checkpoint of the most rows: it is read whatever else a kill left. Others may be contained in it."""
    def rows(name):
        path = f"{folder}/{WORK}/{name}"
        head, ranges = head_bytes(path)
        return numpy.fromfile(path, "<u8", offset=head, count=ranges // 8)[1::2].sum()
    return max(checkpoints(folder, WORK), key=rows)


def damage_part(path, how):
    head, ranges = head_bytes(path)
    size = os.path.getsize(path)
    if how == "empty":
        os.truncate(path, 0)
    elif how == "text":
        open(path, "w").write("no checkpoint at all\n" * 1000)
    elif how.startswith("cut"):
        os.truncate(path, {"cut head": head // 2, "cut ranges": head + ranges // 2,
                           "cut": (head + ranges + size) // 2, "cut end": size - 1}[how])
    else:
        at = {"mark": 1, "version": 8, "k": 4 * 8, "number of ranges": 6 * 8 + 2, "rejected": 7 * 8,
              "sum": head - 16, "ranges": head + ranges - 8, "body": (head + ranges + size) // 2,
              "first of body": head + ranges, "last of body": size - 1}[how]
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 4]))


HOW = ["mark", "version", "k", "number of ranges", "rejected", "sum", "ranges", "first of body", "body",
       "last of body", "empty", "text", "cut head", "cut ranges", "cut", "cut end"]


@pytest.fixture(scope="module")
def one_stop(jobs, clean_truth, tmp_path_factory):
    """A folder to copy: a truth killed amid its rows, every rank having kept some."""
    folder = str(tmp_path_factory.mktemp("stop"))
    fault = "file-rename:2:3"
    assert run(*jobs["truth"].words(folder), ranks=3, check=False, env={"MPIVF_FAULT": fault + ":kill"}).code
    assert works(folder) and checkpoints(folder, WORK)
    return folder


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_part_is_noticed(jobs, root, clean_truth, one_stop, how):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    bad = largest(folder)
    damage_part(f"{folder}/{WORK}/{bad}", how)
    words = [word for word in job.words(folder) if word != "-q"]
    done = run(*words, ranks=1)  # rank 0 alone tells
    assert f"{bad}' is damaged" in done.err, done.err
    assert_done(folder, clean_truth("truth", 2)[0])


@pytest.mark.parametrize("how", ["first of body", "body", "last of body", "ranges", "cut end"])
@pytest.mark.parametrize("name", ["truth", "truth-all"])
def test_a_damaged_part_with_all_rows_is_noticed(stopped, name, how):
    """One whose queries were answered, so that it only waited for the end."""
    job, folder, right = stopped(name, fault=ANSWERED)
    first = [one for one in checkpoints(folder, WORK) if one.startswith("checkpoint-0-")]
    assert len(first) == 1, checkpoints(folder, WORK)
    damage_part(f"{folder}/{WORK}/{first[0]}", how)
    words = [word for word in job.words(folder) if word != "-q"]
    done = run(*words, ranks=3)
    assert_done(folder, right)
    assert f"{first[0]}' is damaged" in done.err, done.err


def test_checkpoints_of_another_k(jobs, root, clean_truth, one_stop):
    job, folder, other = jobs["truth"], f"{root}/out", f"{root}/other"
    shutil.copytree(one_stop, folder)
    os.makedirs(other)
    words = job.words(other)
    words[words.index("-k") + 1] = K + 1
    fault = "file-rename:2:3"
    assert run(*words, ranks=3, check=False, env={"MPIVF_FAULT": fault + ":kill"}).code != 0
    foreign = checkpoints(other, WORK)
    assert foreign
    for name in foreign:
        shutil.copy(f"{other}/{WORK}/{name}", f"{folder}/{WORK}/{name}")
    words = [word for word in job.words(folder) if word != "-q"]
    assert f"{foreign[0]}' is damaged" in run(*words, ranks=2).err
    assert_done(folder, clean_truth("truth", 2)[0])


def test_a_lost_checkpoint_and_a_half_written_one(jobs, root, clean_truth, one_stop):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    os.rename(f"{folder}/{WORK}/{checkpoints(folder, WORK)[0]}", f"{folder}/{WORK}/checkpoint-0-77.partial")
    finish(job, folder, 3, clean_truth("truth", 2)[0])


def test_all_checkpoints_lost(jobs, root, clean_truth, one_stop):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    for name in checkpoints(folder, WORK):
        os.remove(f"{folder}/{WORK}/{name}")
    assert reused(finish(job, folder, 2, clean_truth("truth", 2)[0])) == 0


def test_checkpoints_without_a_manifest_are_nobodys(jobs, root, clean_truth, one_stop):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    before = checkpoints(folder, WORK)
    os.rename(f"{folder}/{WORK}/manifest.json", f"{folder}/kept")
    fails(*job.words(folder), says="no manifest.json", ranks=2)
    assert checkpoints(folder, WORK) == before
    os.rename(f"{folder}/kept", f"{folder}/{WORK}/manifest.json")
    finish(job, folder, 2, clean_truth("truth", 2)[0])


def test_files_of_others_stay(jobs, root, clean_truth, one_stop):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    mine = ["notes.txt", "checkpoint-1", "checkpoint-0-7.txt", "checkpoint-0-+7-0123456789abcdef",
            "checkpoint-00-7-0123456789abcdef", "checkpoint-0-7.partial.gz", "checkpoint-0-7-0123456789ABCDEF"]
    for name in mine:
        open(f"{folder}/{WORK}/{name}", "w").write("mine")
    run(*job.words(folder), ranks=2)
    assert sorted(os.listdir(f"{folder}/{WORK}")) == sorted(mine)
    assert all(contents(f"{folder}/{WORK}/{name}") == b"mine" for name in mine)
    assert contents(f"{folder}/out.h5") == clean_truth("truth", 2)[0]["out.h5"]


def test_another_command_is_refused_and_the_difference_named(jobs, root, clean_truth, one_stop):
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    before = {name: contents(f"{folder}/{WORK}/{name}") for name in checkpoints(folder, WORK)}
    for change, says in ((["-k", 7], f"k is {K} there and 7 here"),
                         (["--metric", "ip"], 'metric is "l2" there and "ip" here'),
                         (["--queries", 899], "number of queries is 900 there and 899 here"),
                         (["--prefix", "5K"], "prefixes is [12000] there and [5000] here")):
        fails(*job.words(folder), *change, says=says, ranks=2, output=f"{folder}/out.h5")
    rows = job.words(folder)[1]
    rest = job.words(folder)[2:]
    other = save(f"{root}/other.h5", train=numpy.ones((12000, 128), "f4"))
    fails("truth", other, *rest, says=f"not on '{other}:train' (", ranks=2)
    plain = [word for word in rest[1:] if word != "--self"]
    fails("truth", rows, rows, rest[0], *plain, says=f"not on '{rows}:test' (", ranks=2)
    assert {name: contents(f"{folder}/{WORK}/{name}") for name in checkpoints(folder, WORK)} == before
    finish(job, folder, 1, clean_truth("truth", 2)[0])


def test_two_at_once(jobs, root, clean_truth, one_stop):
    """The lock keeps the second out while the first is at work."""
    job, folder = jobs["truth"], f"{root}/out"
    shutil.copytree(one_stop, folder)
    with open(f"{folder}/{WORK}/lock", "r+b") as file:
        fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
        fails(*job.words(folder), says="another process is at work", ranks=2, output=f"{folder}/out.h5")
    finish(job, folder, 2, clean_truth("truth", 2)[0])


# ---- rows that are not finite

@pytest.mark.parametrize("command", ["truth", "build"])
def test_rows_left_out_do_not_come_back_with_fail(root, command):
    """skip, killed; then fail meets a row that skip has left out. And the other way round."""
    rows = numpy.random.default_rng(1).normal(size=(6000, 40)).astype("f4")
    rows[[0, 2999, 3000, 5999], 7] = numpy.nan
    source = save(f"{root}/in.h5", train=rows, test=rows[1:50])

    def words(folder, bad):
        out = f"{folder}/out.h5"
        if command == "truth":
            return ["truth", source, source, out, "-k", 9, "--checkpoint", 0, "--bad-rows", bad]
        return ["build", source, f"{folder}/x", "-l", 5, "--truth", f"{source}:{out}", "--truth-k", 9,
                "--bad-rows", bad]

    for name in "plain", "other", "again":
        os.makedirs(f"{root}/{name}")
    run(*words(f"{root}/plain", "skip"), ranks=2)
    folder = f"{root}/other"
    for nth in range(9, 0, -1):  # as late as can be: all rows are in the checkpoints
        done = run(*words(folder, "skip"), ranks=2, check=False,
                   env={"MPIVF_FAULT": f"folder-list:0:{nth}:kill"})
        if done.code and os.path.exists(f"{folder}/{WORK}") and checkpoints(folder, WORK):
            break
        shutil.rmtree(folder)
        os.makedirs(folder)
    assert checkpoints(folder, WORK)
    fails(*words(folder, "fail"), says="skip left 4 rows out", ranks=3, output=f"{folder}/out.h5")
    run(*words(folder, "skip"), ranks=3)
    assert contents(f"{folder}/out.h5") == contents(f"{root}/plain/out.h5")
    assert not works(folder)
    folder = f"{root}/again"
    fails(*words(folder, "fail"), says="not finite", ranks=2, output=f"{folder}/out.h5")
    run(*words(folder, "skip"), ranks=1)
    assert contents(f"{folder}/out.h5") == contents(f"{root}/plain/out.h5")


# ---- a disk that is full

@pytest.fixture
def disk(tmp_path):
    """disk(bytes): a folder on a disk of that size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(size):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        return folder
    yield make
    subprocess.run(["umount", folder], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("kib", [8, 40, 200, 500])
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_full_disk(jobs, clean_truth, disk, kib, ranks):
    """No room for the checkpoints and the outputs is told before the work; with room the same command works."""
    job, (right, _) = jobs["truth-all"], clean_truth("truth-all", 2)
    folder = disk(kib << 10)
    fails(*job.words(folder), says="the truth needs", ranks=ranks, output=f"{folder}/out-12K.h5")
    assert not names(folder)
    subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)
    finish(job, str(folder), ranks, right)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_part_that_cannot_grow(jobs, root, clean_truth, ranks):
    """A quota, to the program: EFBIG in the middle of a write."""
    rows = jobs["truth"].words("")[1]
    large = Job("large", lambda folder: ["truth", rows, f"{folder}/out.h5", "--self", "--queries", 900, "-k",
                                         1000, "--checkpoint", 0, "-q"], ["out.h5"])
    right, _ = large.clean(root, 2)
    folder, aside = f"{root}/out", f"{root}/aside"
    os.makedirs(folder)
    os.makedirs(aside)
    done = launch(large.words(folder), ranks, aside, most=8 << 20)
    assert not done.hung and set(done.codes.values()) == {1} and len(done.codes) == ranks, str(done)
    assert len(done.err.splitlines()) == 1 and "File too large" in done.err, str(done)
    assert names(folder) <= {WORK}
    finish(large, folder, 3, right)
