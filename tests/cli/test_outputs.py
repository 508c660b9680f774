"""What a command writes: no file of a user's is opened, replaced or removed that was not named as the
output, and of two commands at work on one file one wins whole while the other says so."""
import fcntl
import glob
import os
import random
import re
import shlex
import shutil
import struct
import subprocess
import time

import numpy as np
import pytest
from program import ALONE, PROGRAM, SLOW, content, environment, fails, run, same, save

SOAK = os.environ.get("MPIVF_SOAK") == "1"
PARTIAL = r"\.[0-9a-f]{16}\.partial$"
ROWS, DIM = 3000, 8
SITES = {"disk-space", "file-close", "file-create", "file-open", "file-read", "file-remove", "file-rename", "file-sync",
         "file-write", "folder-create", "folder-list", "folder-remove", "hdf5-close", "hdf5-create", "hdf5-open", "hdf5-read", "hdf5-write",
         "json-read", "json-write"}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with an input of every kind; nothing in it may ever change."""
    folder = str(tmp_path_factory.mktemp("given"))
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(ROWS, DIM)).astype("f4")
    save(f"{folder}/rows.h5", train=rows, test=rows[:50] + np.float32(0.1), id=np.arange(ROWS)[::-1] * 3)
    run("train", f"{folder}/rows.h5", f"{folder}/model", "-l", 6, "-q", ranks=0)
    for part in 1, 2, 3:
        run("build", f"{folder}/rows.h5", f"{folder}/part{part}", "--model", f"{folder}/model", "--part",
            f"{part}/3", "-q", ranks=0)
    run("build", f"{folder}/rows.h5", f"{folder}/index", "--model", f"{folder}/model", "-q", ranks=0)
    for report in glob.glob(f"{folder}/*.report.json"):
        os.remove(report)
    before = {name: content(f"{folder}/{name}") for name in os.listdir(folder)}
    yield folder
    assert {name: content(f"{folder}/{name}") for name in os.listdir(folder)} == before


# Name: (words before the output, words behind it). The first input, by its place, is taken away and
# given other names below.
COMMANDS = {
    "generate": lambda d: (["generate"], ["-n", ROWS, "-d", DIM, "--queries", 5]),
    "train": lambda d: (["train", f"{d}/rows.h5"], ["-l", 6]),
    "build": lambda d: (["build", f"{d}/rows.h5"], ["-l", 6, "--ids", f"{d}/rows.h5:id"]),
    "build --model": lambda d: (["build", f"{d}/rows.h5"], ["--model", f"{d}/model"]),
    "merge": lambda d: (["merge", *(f"{d}/part{i}" for i in (1, 2, 3)), f"{d}/model"], ["--fan-in", 2]),
    "search": lambda d: (["search", f"{d}/index", f"{d}/rows.h5"], ["-p", 2]),
    "truth": lambda d: (["truth", f"{d}/rows.h5", f"{d}/rows.h5"], ["-k", 5, "--ids", f"{d}/rows.h5:id"]),
    "truth --self": lambda d: (["truth", f"{d}/rows.h5"], ["--self", "-k", 3]),
    "shuffle": lambda d: (["shuffle", f"{d}/rows.h5"], []),
}
WORK = {"build": "work", "build --model": "work", "truth": "work", "truth --self": "work", "merge": "merge"}


def words_of(name, folder, out, *more):
    before, behind = COMMANDS[name](folder)
    return [*before, out, *behind, *more]


def names(folder):
    return sorted(os.listdir(folder))


@pytest.fixture(scope="module")
def right(given, tmp_path_factory):
    """right(name): the output of a command that nobody disturbs."""
    folder = tmp_path_factory.mktemp("right")

    def get(name):
        out = f"{folder}/{name}"
        if not os.path.exists(out):
            run(*words_of(name, given, out), "-q", ranks=0)
        return out
    return get


# ---- names ----

@pytest.mark.parametrize("name", COMMANDS)
def test_no_output_is_an_input(given, tmp_path, name):
    """Each input, as itself and by a link, a hard link and a turn of the path; there is no work before."""
    before, behind = COMMANDS[name](given)
    inputs = [i for i, word in enumerate(before) if i > 0]
    for i in inputs:
        for kind in ("itself", "link", "hard link", "turn", "report"):
            folder = tmp_path / f"{i}-{kind}"
            folder.mkdir()
            own = folder / ("x.report.json" if kind == "report" else "x")
            shutil.copy(before[i], own)
            out = {"itself": own, "turn": folder / ".." / folder.name / "x"}.get(kind, folder / "y")
            if kind == "link":
                out.symlink_to("x")
            elif kind == "hard link":
                os.link(own, out)
            elif kind == "report":
                out = folder / "x"
                if name == "generate":
                    continue
            kept = content(own)
            words = [*before[:i], own, *before[i + 1:], out, *behind, "--force"]
            told = fails(*words, code=2, says="also an input", ranks=0)
            assert content(own) == kept and names(folder) == sorted({own.name, *(["y"] * (kind in ("link", "hard link")))})
            assert len(told.messages()) == 1


@pytest.mark.parametrize("option", ["--ids", "--model", "--truth", "--truth out"])
def test_no_output_is_named_by_an_option(given, tmp_path, option):
    own = tmp_path / "x"
    shutil.copy(f"{given}/model" if option == "--model" else f"{given}/rows.h5", own)
    kept = content(own)
    more = {"--ids": ["--ids", f"{own}:id"], "--model": ["--model", own], "--truth": ["--truth", f"{own}:{tmp_path}/t"],
            "--truth out": ["--truth", f"{given}/rows.h5:{own}"]}[option]
    for out in (own, tmp_path / "x.report.json") if option == "--truth out" else (own,):
        if out != own:
            more = ["--truth", f"{given}/rows.h5:{out}"]
        fails("build", f"{given}/rows.h5", own, *more, "--force", code=2, ranks=0,
              says="name of two outputs" if option == "--truth out" else "also an input")
    assert content(own) == kept and names(tmp_path) == ["x"]


def test_no_two_outputs_have_one_name(given, tmp_path):
    """Reports, work folders, other formats and prefixes, through links and --scratch."""
    rows = f"{given}/rows.h5"
    (tmp_path / "s").mkdir()
    (tmp_path / "a.bin").symlink_to("b.h5")
    for words in (
            ["build", rows, "i", "--truth", f"{rows}:i.work"],
            ["build", rows, "i", "--truth", f"{rows}:i.report.json"],
            ["build", rows, "i.idx", "--truth", f"{rows}:s/i.idx", "--scratch", "s"],
            ["build", rows, "i", "--truth", f"{rows}:./i"],
            ["build", rows, "i", "--truth", f"{rows}:s/../i"],
            ["truth", rows, rows, "t.bin", "--also", "xbin", "--prefix", "10,10.0"],
            ["truth", rows, rows, "b.h5", "--also", "xbin", "--prefix", "9,10", "--ids", "b-9.h5"],
            ["truth", rows, rows, "a.h5", "--also", "xbin", "--ids", "b.h5"]):
        done = run(*words, "-q", ranks=0, check=False, cwd=tmp_path)
        assert done.code == 2 and len(done.messages()) == 1, (words, done.err)
    assert names(tmp_path) == ["a.bin", "s"] and names(tmp_path / "s") == []


def test_an_output_may_be_called_as_an_object(given, tmp_path):
    """The last part of FILE:OBJECT is not the name of a file, be the file there or not."""
    import h5py
    with h5py.File(tmp_path / "cells.h5", "w") as file, h5py.File(f"{given}/rows.h5") as rows:
        file["obsm/X_pca"] = rows["train"][:]
    run("train", f"{tmp_path}/cells.h5:obsm/X_pca", tmp_path / "X_pca", "-l", 6, "-q", ranks=0)
    assert same(tmp_path / "X_pca", f"{given}/model")
    fails("train", f"{tmp_path}/none.h5:obsm/y", tmp_path / "y", ranks=0, says=f"there is no file '{tmp_path}/none.h5'")
    fails("train", tmp_path / "z", tmp_path / "z", ranks=0, code=2, says="also an input")  # though neither is there


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_name_is_no_name(given, tmp_path, name):
    """As a variable gives that is not set. The work folder would lie in the root folder."""
    told = fails(*words_of(name, given, ""), code=2, ranks=0, says="is empty (a variable that is not set?)")
    assert len(told.messages()) == 1
    if WORK.get(name) == "merge" or name.startswith("build"):
        fails(*words_of(name, given, tmp_path / "y", "--scratch", ""), code=2, ranks=3, output=tmp_path / "y",
              says="scratch folder is empty (a variable that is not set?)")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_an_input_may_be_called_partial(given, tmp_path, name):
    """y.partial and y.tmp are names like any other."""
    before, behind = COMMANDS[name](given)
    own = []
    for ending in "partial", "0123456789abcdef.partial", "tmp":
        own.append(tmp_path / f"y.{ending}")
        shutil.copy(before[1] if len(before) > 1 else f"{given}/rows.h5", own[-1])
    kept = content(own[0])
    words = before[:1] + ([own[0], *before[2:]] if len(before) > 1 else [])
    told = run(*words, tmp_path / "y", *behind, ranks=0)
    assert all(content(each) == kept for each in own)
    assert f"'{own[1]}' was left by an earlier run" in told.err
    assert set(names(tmp_path)) - {"y.report.json"} == {"y", *(each.name for each in own)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_report_of_somebody_else_is_kept(given, tmp_path, name):
    if name == "generate":
        pytest.skip("it writes none")
    report = tmp_path / "y.report.json"
    report.write_text('{"mine": 1}')
    words = words_of(name, given, tmp_path / "y")
    fails(*words, says="is not a report of mpivf", ranks=0)
    assert report.read_text() == '{"mine": 1}' and names(tmp_path) == ["y.report.json"]
    run(*words, "-q", "--force", ranks=0)
    assert '"format": "mpivf-report"' in report.read_text()
    run(*words, "-q", "--force", ranks=0)
    (tmp_path / "y").unlink()
    run(*words, "-q", ranks=0)  # a report of ours needs no force


@pytest.mark.parametrize("name", COMMANDS)
def test_a_link_is_written_through(given, tmp_path, name, right):
    """To a file and to none; work folder and report lie where it leads."""
    words = {}
    (tmp_path / "big").mkdir()
    (tmp_path / "big/old").write_text("old")
    for link, target in (("a", "big/old"), ("b", "big/new")):
        (tmp_path / link).symlink_to(target)
        words[link] = words_of(name, given, tmp_path / link)
    fails(*words["a"], says="--force", ranks=0, output=tmp_path / "big/old")
    run(*words["a"], "--force", "-q", ranks=0)
    run(*words["b"], "-q", ranks=0)
    reports = [] if name == "generate" else ["new.report.json", "old.report.json"]
    assert names(tmp_path) == ["a", "b", "big"] and names(tmp_path / "big") == sorted(["new", "old", *reports])
    assert (tmp_path / "a").is_symlink() and same(tmp_path / "big/old", right(name))
    assert (tmp_path / "b").is_symlink() and same(tmp_path / "big/new", right(name))
    (tmp_path / "c").symlink_to("none/c")
    fails(*words_of(name, given, tmp_path / "c"), says="none'", ranks=0)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_that_is_too_long_is_refused_at_once(given, tmp_path, name):
    longest = 255 - 25 - (0 if name == "generate" else 12)
    fails(*words_of(name, given, tmp_path / ("n" * (longest + 1))), code=2, says="is too long", ranks=0)
    assert names(tmp_path) == []
    run(*words_of(name, given, tmp_path / ("n" * longest)), "-q", ranks=0)
    assert ("n" * longest) in names(tmp_path) and len(names(tmp_path)) == (1 if name == "generate" else 2)


# ---- work folders ----

MINE = ["notes.txt", "download.h5.partial", "joined-tables.csv", "shard-notes.txt", "shard-0-1.h5", "model.h5",
        "shard-0000000000000000-10.h5", "checkpoint-0-10-0123456789abcdef", "lock"]


@pytest.mark.parametrize("name", WORK)
def test_a_folder_of_somebody_else_stays_as_it_is(given, tmp_path, name):
    folder = tmp_path / f"y.{WORK[name]}"
    folder.mkdir()
    for each in MINE:
        (folder / each).write_text("mine")
    for more in [], ["--force"]:
        fails(*words_of(name, given, tmp_path / "y"), *more, says="is no work folder of mpivf", ranks=0)
        assert names(folder) == sorted(MINE) and names(tmp_path) == [folder.name]
    assert all((folder / each).read_text() == "mine" for each in MINE)


def test_a_merge_that_needs_no_folder_leaves_one_alone(given, tmp_path):
    folder = tmp_path / "y.merge"
    folder.mkdir()
    for each in MINE:
        (folder / each).write_text("mine")
    before, _ = COMMANDS["merge"](given)
    run(*before, tmp_path / "y", "-q", ranks=0)
    assert names(folder) == sorted(MINE) and all((folder / each).read_text() == "mine" for each in MINE)


def test_inputs_in_the_work_folder_are_refused(given, tmp_path):
    folder = tmp_path / "base.merge"
    folder.mkdir()
    for i in 1, 2, 3:
        shutil.copy(f"{given}/part{i}", folder / f"shard-{i}.h5")
    fails("merge", *folder.iterdir(), f"{given}/model", tmp_path / "base", "--fan-in", 2, code=2,
          says="which is the work folder of this command", ranks=0)
    assert len(names(folder)) == 3 and names(tmp_path) == ["base.merge"]


@pytest.mark.parametrize("name", WORK)
def test_a_work_folder_is_no_link(given, tmp_path, name):
    (tmp_path / "real").mkdir()
    (tmp_path / f"y.{WORK[name]}").symlink_to("real")
    fails(*words_of(name, given, tmp_path / "y"), says="a symbolic link is there", ranks=0)
    assert names(tmp_path) == ["real", f"y.{WORK[name]}"] and names(tmp_path / "real") == []


# ---- wrong input, and right ----

@pytest.mark.parametrize("command", ["build", "truth", "build --truth"])
@pytest.mark.parametrize("wrong,says", [("strings", "ids are i32 u32 i64 u64"), ("short", "ids are"),
                                        ("negative", "is negative"), ("twice", "given to two rows"),
                                        ("few", "ids for")])
def test_wrong_ids_do_not_block_right_ones(given, tmp_path, command, wrong, says):
    ids = {"strings": np.array([b"d%d" % i for i in range(ROWS)], "S8"), "short": np.arange(ROWS, dtype="i2"),
           "negative": np.arange(ROWS) - 1, "twice": np.arange(ROWS) // 2, "few": np.arange(ROWS - 1)}
    save(tmp_path / "ids.h5", good=np.arange(ROWS) + 7, bad=ids[wrong])
    rows = f"{given}/rows.h5"
    words = {"build": ["build", rows, tmp_path / "y", "-l", 6],
             "truth": ["truth", rows, rows, tmp_path / "y", "-k", 5],
             "build --truth": ["build", rows, tmp_path / "y", "-l", 6, "--truth", f"{rows}:{tmp_path}/t"]}[command]
    fails(*words, "--ids", f"{tmp_path}/ids.h5:bad", says=says, ranks=0)
    assert names(tmp_path) == ["ids.h5"]
    run(*words, "-q", "--ids", f"{tmp_path}/ids.h5:good", ranks=0)


@pytest.mark.parametrize("name", ["build", "truth"])
def test_force_starts_over_where_other_work_is(given, tmp_path, name, right):
    """A run that was killed with other options leaves work; the second command is refused, or forced."""
    seed = {"build": ["--codec", "f16"], "truth": ["--metric", "ip"]}[name]
    words = words_of(name, given, tmp_path / "y")
    fault = {"build": "file-rename:0:5", "truth": "file-rename:0:3"}[name]
    done = run(*words, *seed, "-q", ranks=0, check=False, env={"MPIVF_FAULT": f"{fault}:kill"})
    if done.code == 0:
        pytest.skip("this build has no fault points (-DMPIVF_FAULTS=ON)")
    assert f"y.{WORK[name]}" in names(tmp_path)
    fails(*words, says="start over with --force", ranks=0)  # what was killed has left its partial
    assert "y" not in names(tmp_path)
    run(*words, "-q", "--force", ranks=0)
    assert set(names(tmp_path)) == {"y", "y.report.json"} and same(tmp_path / "y", right(name))


# ---- two at once ----

def start(words, env=None, prefix=()):
    return subprocess.Popen([*prefix, PROGRAM, *(str(word) for word in words), "-q"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, env=environment(ALONE, env))


def end(process):
    """The exit code, and the one line of a failure."""
    err = process.communicate(timeout=120)[1].splitlines()
    lines = [line for line in err if line.startswith("mpivf")]
    assert len(lines) == (process.returncode != 0), err
    return process.returncode, "".join(lines)


LOSES = r"another process is at work on|exists; --force|appeared while this command"


def check_race(ended, out, right_of, case):
    """One of them won whole, the others said so, and nothing is left."""
    winners = [i for i, (code, _) in enumerate(ended) if code == 0]
    assert len(winners) == 1, f"{case}: {ended}"
    assert all(re.search(LOSES, line) for code, line in ended if code), f"{case}: {ended}"
    assert same(out, right_of[winners[0]]), f"{case}: other bytes"
    folder = os.path.dirname(out)
    kept = sum("the result is in" in line for _, line in ended)
    left = [name for name in names(folder) if name not in ("y", "y.report.json")]
    assert len(left) <= 2 * kept and all(re.search(PARTIAL, name) for name in left), f"{case}: {left} is left"


@pytest.mark.parametrize("name", COMMANDS)
def test_of_several_started_in_one_instant_one_wins(given, tmp_path, name, right):
    for number in 2, 5:
        folder = tmp_path / str(number)
        folder.mkdir()
        running = [start(words_of(name, given, folder / "y")) for _ in range(number)]
        check_race([end(each) for each in running], f"{folder}/y", [right(name)] * number, f"{name} x {number}")


@pytest.mark.parametrize("name", ["build", "merge"])
def test_another_scratch_is_the_same_output(given, tmp_path, name, right):
    for i in 1, 2:
        (tmp_path / f"s{i}").mkdir()
    (tmp_path / "out").mkdir()
    running = [start(words_of(name, given, tmp_path / "out/y", "--scratch", tmp_path / f"s{i}")) for i in (1, 2)]
    check_race([end(each) for each in running], f"{tmp_path}/out/y", [right(name)] * 2, name)
    assert names(tmp_path / "s1") == names(tmp_path / "s2") == []


def passes(words, site, folder):
    """How often a command passes a fault point; none without -DMPIVF_FAULTS=ON."""
    log = f"{folder}/passes"
    run(*words, "-q", ranks=0, env={"MPIVF_FAULT_LOG": log})
    lines = open(log).read().splitlines() if os.path.exists(log) else []
    return lines.count(f"{site} 0")


@pytest.mark.parametrize("site", sorted(SITES) if SOAK else ["folder-create", "file-rename", "file-remove"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_command_at_any_step_of_the_first(given, tmp_path, name, site, right):
    """The second starts and ends while the first stands at one step; so with every step from the first to the last."""
    (tmp_path / "y").mkdir()
    steps = passes(words_of(name, given, tmp_path / "y/y"), site, tmp_path)
    if SLOW > 1:
        steps = min(steps, 3)
    if steps == 0:
        pytest.skip("the command does not come by there, or this build has no fault points (-DMPIVF_FAULTS=ON)")
    second = tmp_path / "second.sh"
    for nth in range(1, steps + 1):
        folder = tmp_path / str(nth)
        folder.mkdir()
        words = " ".join(shlex.quote(str(word)) for word in words_of(name, given, folder / "y"))
        second.write_text(f"unset MPIVF_FAULT\nexport OMPI_MCA_orte_tmpdir_base={folder}.mpi\n"
                          f"mkdir $OMPI_MCA_orte_tmpdir_base\n{PROGRAM} {words} -q >{folder}.out 2>{folder}.err\necho $? >{folder}.code\n")
        first = end(start(words_of(name, given, folder / "y"), env={
            "MPIVF_FAULT": f"{site}:0:{nth}:run", "MPIVF_FAULT_RUN": f"sh {second}"}))
        told = [line for line in open(f"{folder}.err").read().splitlines() if line.startswith("mpivf")]
        code = int(open(f"{folder}.code").read())
        assert len(told) == (code != 0), told
        check_race([first, (code, "".join(told))], f"{folder}/y", [right(name)] * 2, f"{name} at {site} {nth}")
        shutil.rmtree(folder)


def held(path):
    """A file as another process writes it: made and locked."""
    file = open(path, "w+")
    fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
    return file


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_is_being_written_is_refused_at_once(given, tmp_path, name, ranks):
    """Any of its outputs, the report too, with --force too; a lock that is gone is in nobody's way."""
    if ranks and name not in ("build", "truth"):
        pytest.skip("told once by several ranks is told by all of them")
    for output in ["y"] if name == "generate" else ["y", "y.report.json"]:
        file = held(tmp_path / f"{output}.00112233445566aa.partial")
        file.write("half")
        file.flush()
        fails(*words_of(name, given, tmp_path / "y"), "--force", says=f"at work on '{tmp_path}/{output}'", ranks=ranks)
        assert names(tmp_path) == [os.path.basename(file.name)]
        file.close()
        os.truncate(file.name, 0)  # killed before it wrote a byte
    run(*words_of(name, given, tmp_path / "y"), "-q", ranks=ranks)
    assert set(names(tmp_path)) <= {"y", "y.report.json"}


APPEARING = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Just before a file gets the name $APPEARS, there is another of that name. */
int
renameat2(int a, const char *from, int b, const char *to, unsigned int flags)
{
    int fd = strcmp(to, getenv("APPEARS")) == 0 ? open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    if (fd >= 0 && (write(fd, "mine", 4) != 4 || close(fd) != 0))
        abort();
    return (int)syscall(SYS_renameat2, a, from, b, to, flags);
}

int
rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
"""


@pytest.fixture(scope="module")
def appearing(tmp_path_factory):
    """A library that, loaded before others, makes a file appear in the last moment."""
    folder = tmp_path_factory.mktemp("appearing")
    (folder / "appearing.c").write_text(APPEARING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", f"{folder}/appearing.so", f"{folder}/appearing.c"], check=True)
    return f"{folder}/appearing.so"


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer has to be loaded first")
@pytest.mark.parametrize("name", COMMANDS)
def test_what_appears_meanwhile_is_kept(given, tmp_path, name, right, appearing):
    """A file comes under the final name while the command is at work; its own result stays beside it."""
    for forced in [], ["--force"]:
        out = tmp_path / "y"
        told = run(*words_of(name, given, out, *forced), "-q", ranks=0, check=False,
                   env={"LD_PRELOAD": appearing, "APPEARS": str(out)})
        assert told.code == 1 and len(told.messages()) == 1, told.err
        assert "appeared while this command was at work and is kept" in told.err
        assert out.read_text() == "mine"
        kept = re.search("the result is in '(.*)'", told.err).group(1)
        assert same(kept, right(name))
        out.unlink()
        os.remove(kept)
        for each in glob.glob(f"{out}.*"):  # a work folder: all but the name is done
            shutil.rmtree(each)


@pytest.mark.skipif(not SOAK, reason="half an hour: the soak form runs it")
@pytest.mark.parametrize("name", COMMANDS)
def test_two_at_once_at_any_offset_on_a_slow_disk(given, tmp_path, name, right):
    chance = random.Random(name)
    slow = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,rename,renameat2", "-e",
            "inject=fsync,rename,renameat2:delay_enter=60000"]
    begin = time.monotonic()
    assert end(start(words_of(name, given, tmp_path / "first"), prefix=slow))[0] == 0
    usual = time.monotonic() - begin
    for turn in range(50):
        folder = tmp_path / str(turn)
        folder.mkdir()
        first = start(words_of(name, given, folder / "y"), prefix=slow)
        time.sleep(chance.uniform(0, 1.1) * usual)
        second = start(words_of(name, given, folder / "y"), prefix=slow)
        check_race([end(first), end(second)], f"{folder}/y", [right(name)] * 2, f"{name}, turn {turn}")
        shutil.rmtree(folder)
