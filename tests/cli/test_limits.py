"""What the system grants: small stacks and few open files do, or one line says at once that they do not."""
import numpy
import pytest

from program import PROGRAM, execute, run, save, same


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    rows = numpy.random.default_rng(1).normal(size=(2000, 12)).astype("f4")
    save(folder / "in.h5", train=rows, test=rows[:20])
    run("build", folder / "in.h5", folder / "index", "-l", 6, ranks=0)
    run("train", folder / "in.h5", folder / "model", "-l", 6, ranks=0)
    for part in (1, 2, 3):
        run("build", folder / "in.h5", folder / f"part{part}", "--model", folder / "model", "--part",
            f"{part}/3", ranks=0)
    run("search", folder / "index", folder / "in.h5", folder / "result", "-k", 5, ranks=0)
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 5, ranks=0)
    return folder


COMMANDS = {
    "generate": "generate {out} -n 100", "train": "train {in}/in.h5 {out} -l 6",
    "build": "build {in}/in.h5 {out} -l 6 --truth {in}/in.h5:{out}.truth",
    "merge": "merge {in}/part1 {in}/part2 {in}/part3 {out}",
    "search": "search {in}/index {in}/in.h5 {out} -k 5",
    "truth": "truth {in}/in.h5 {in}/in.h5 {out} -k 5", "eval": "eval {in}/result {in}/truth",
    "info": "info {in}/index", "verify": "verify {in}/index", "shuffle": "shuffle {in}/in.h5 {out}",
}
SAME = {"build": "index", "merge": "index", "search": "result", "truth": "truth"}


def limited(limit, words, ranks=2):
    """Run the program where a limit of the shell is in force."""
    return execute(["mpirun", "-n", ranks, "sh", "-c", f"ulimit {limit} && exec '{PROGRAM}' {words} --quiet"])


@pytest.mark.parametrize("limit", ["-s 512", "-n 96"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_small_stack_and_few_files_do(tmp_path, place, command, limit):
    done = limited(limit, COMMANDS[command].format(**{"in": place, "out": tmp_path / "x"}))
    assert done.code == 0, done.err
    if command in SAME:
        assert same(tmp_path / "x", place / SAME[command])


@pytest.mark.parametrize("command", COMMANDS)
def test_too_few_files_are_refused_at_once(tmp_path, place, command):
    done = limited("-n 40", COMMANDS[command].format(**{"in": place, "out": tmp_path / "x"}))
    assert done.code == 2
    assert len(done.messages()) == 1 and "the system allows 40; raise it with ulimit -n" in done.messages()[0]
    assert not list(tmp_path.iterdir())


def test_a_limit_that_may_be_raised_is_raised(tmp_path, place):
    done = limited("-Sn 40", COMMANDS["build"].format(**{"in": place, "out": tmp_path / "x"}))
    assert done.code == 0 and same(tmp_path / "x", place / "index")


@pytest.mark.parametrize("words", ["build {in}/in.h5 {out} -l 6 --fan-in 300",
                                   "merge {parts} {out} --fan-in 300"])
def test_a_fan_in_beyond_the_limit_is_refused_at_once(tmp_path, place, words):
    parts = " ".join([f"{place}/part1"] * 300)
    done = limited("-n 200", words.format(**{"in": place, "out": tmp_path / "x", "parts": parts}))
    assert done.code == 2
    assert len(done.messages()) == 1 and "use a smaller --fan-in" in done.messages()[0]
    assert not list(tmp_path.iterdir())
