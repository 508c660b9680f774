"""A disk that is full, or about to be: said early where it can be, in one line in any case."""
import os
import subprocess

import pytest
from faults import OLD, ROWS, contents, launch
from program import SLOW, fails, run

MIB = 1 << 20


@pytest.fixture
def tmpfs(tmp_path):
    """tmpfs(bytes): a folder on a disk of that size."""
    made = []

    def make(size):
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        made.append(folder)
        return folder
    yield make
    for folder in made:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("name,output", [("build-spill", "out.idx"), ("build-train", "out.idx"),
                                         ("merge", "out.idx"), ("generate", "out.h5"),
                                         ("shuffle", "out.h5")])
def test_too_small_a_disk_is_refused_early(scenarios, tmpfs, name, output):
    disk = tmpfs(MIB)
    fails(*scenarios[name].words(disk), says="MiB are free", ranks=2, output=f"{disk}/{output}")
    assert os.listdir(disk) == []  # nothing was begun, no quantizer trained


def test_scratch_and_index_are_checked_each(scenarios, tmpfs, tmp_path):
    small = tmpfs(MIB)
    wide = tmp_path / "wide"
    wide.mkdir()
    fails(*scenarios["build-spill"].words(wide), "--scratch", small, says=f"in '{small}'", ranks=2,
          output=f"{wide}/out.idx")
    fails(*scenarios["build-spill"].words(small), "--scratch", wide, says=f"in '{small}'", ranks=2,
          output=f"{small}/out.idx")


def test_a_disk_that_fills_up_on_the_way(scenarios, tmpfs):
    """The rows alone fit, so that the check passes; with HDF5's own few pages they do not."""
    exact = (ROWS + 20) * 32 * 4
    disk = tmpfs(-(-exact // 4096) * 4096)
    fails(*scenarios["generate"].words(disk), says="No space left", ranks=2,
          output=f"{disk}/out.h5")
    assert os.listdir(disk) == []


def test_a_shuffle_that_fills_the_disk(scenarios, tmpfs):
    """As above; then there is room, but what a killed run left takes it until it is removed."""
    exact = ROWS * (128 * 4 + 8)
    disk = tmpfs(-(-exact // 4096) * 4096)
    words = scenarios["shuffle"].words(disk)
    fails(*words, says="No space left", ranks=2, output=f"{disk}/out.h5")
    assert os.listdir(disk) == []
    subprocess.run(["mount", "-o", f"remount,size={exact + MIB}", disk], check=True)
    left = f"{disk}/out.h5.0123456789abcdef.partial"
    with open(left, "wb") as file:
        file.write(bytes(exact))
    fails(*words, says="are free", ranks=2)
    assert sorted(os.listdir(disk)) == [os.path.basename(left)]
    words.remove("-q")
    told = run(*words, ranks=2, check=False)
    assert f"'{left}' was left by an earlier run of mpivf; it may be removed" in told.err
    os.remove(left)
    run(*words, ranks=2)
    assert sorted(os.listdir(disk)) == ["out.h5", "out.h5.report.json"]


@pytest.mark.parametrize("size,says", [(MIB, "a sample that is larger than the memory needs"),
                                       (4 * MIB, "No space left")])
def test_no_room_for_a_sample_that_streams(scenarios, tmpfs, size, says):
    """Not for that of one rank, and not for those of both."""
    disk = tmpfs(size)
    fails(*scenarios["train-streams"].words(disk), says=says, ranks=2, output=f"{disk}/out.model")
    assert os.listdir(disk) == []


@pytest.mark.parametrize("name,size", [("train", 8192), ("truth", 8192), ("search-rerank", 8192),
                                       ("train", 12288), ("truth", 4096)])
def test_a_tiny_disk(scenarios, tmpfs, name, size):
    """Refused before the work."""
    disk = tmpfs(size)
    fails(*scenarios[name].words(disk), says="needs", ranks=2,
          output=f"{disk}/{scenarios[name].output}")
    assert os.listdir(disk) == []


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("name", ["build-spill", "build-train", "merge"])
def test_a_file_that_cannot_grow(scenarios, tmp_path, name, ranks):
    """A quota, to the program: EFBIG in the middle of a write. (MPI's own files do fit.)"""
    scenario = scenarios[name]
    folder, aside = scenario.folders(str(tmp_path), name)
    words = scenario.words(folder)
    path = f"{folder}/{scenario.output}"
    for extra, before in (([], None), (["--force"], OLD)):
        if before:
            open(path, "wb").write(before)
        done = launch(words + extra, ranks, aside, timeout=30 * SLOW, most=7 * MIB)
        assert not done.hung, str(done)
        assert set(done.codes.values()) == {1} and len(done.codes) == ranks, str(done)
        lines = done.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("mpivf"), str(done)
        says = "File too large; raise the limit of the shell (ulimit -f)"
        assert says in lines[0] or "HDF5 says" in lines[0], str(done)
        assert contents(path) == before
        assert set(os.listdir(folder)) <= {scenario.output, scenario.output + ".work"}, str(done)
    # and with the room it needs the same command ends well
    done = launch(words + ["--force"], ranks, aside, timeout=60 * SLOW)
    assert set(done.codes.values()) == {0}, str(done)
    assert contents(path) not in (None, OLD)
    assert not os.path.exists(path + ".work")
