"""The command line itself: help, usage errors, and what goes to which stream."""
import json
import re
import subprocess

import numpy
import pytest

from program import ALONE, PROGRAM, environment, execute, fails, run, save

COMMANDS = ["generate", "train", "build", "merge", "truth", "search", "eval", "info", "verify",
            "shuffle"]
COMMON = ["--threads", "--memory", "--json", "--quiet", "--help"]
OPTIONS = {
    "generate": ["--rows", "--dim", "--queries", "--clusters", "--intrinsic", "--noise", "--type",
                 "--seed", "--force"],
    "train": ["--lists", "--metric", "--sample", "--iterations", "--tolerance", "--seed", "--bad-rows",
              "--read", "--force"],
    "build": ["--lists", "--metric", "--sample", "--iterations", "--seed", "--bad-rows", "--read",
              "--codec", "--store", "--ids", "--model", "--part", "--scratch", "--fan-in", "--force"],
    "merge": ["--fan-in", "--scratch", "--partial", "--force"],
    "truth": ["--neighbours", "--metric", "--bad-rows", "--read", "--force"],
    "search": ["--neighbours", "--probes", "--recall", "--rerank", "--force"],
    "eval": ["--min-recall"],
    "info": ["--rejected"],
    "verify": [],
    "shuffle": ["--seed", "--read", "--force"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("usage")
    rows = numpy.random.default_rng(1).normal(size=(300, 8)).astype("f4")
    save(folder / "in.h5", train=rows, test=rows[:20])
    run("build", folder / "in.h5", folder / "index", "-l", 5, "--codec", "f16")
    run("truth", folder / "in.h5", folder / "in.h5", folder / "truth", "-k", 10)
    run("search", folder / "index", folder / "in.h5", folder / "result", "-p", 2)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_stands_on_its_own(command):
    told = run(command, "--help", ranks=0)
    assert told.out.startswith(f"Usage: mpivf {command} ")
    assert told.err == ""
    listed = re.findall(r"^ {2,6}(?:-\w, )?(--[\w-]+)", told.out, re.M)
    assert set(OPTIONS[command] + COMMON) <= set(listed)
    assert len(listed) == len(set(listed))
    assert all(len(line) <= 80 for line in told.out.splitlines())
    assert re.search(r"^Examples:\n(  .*\bmpivf .*\n){3}$", told.out, re.M) and "\nEnvironment:\n" in told.out
    assert "e+" not in told.out  # numbers as people write them
    assert run("help", command, ranks=0).out == told.out
    assert run(command, "some", "-h", ranks=0).out == told.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_in_the_help_is_known_to_the_parser(command):
    told = run(command, "--help", ranks=0).out
    for name, unit in re.findall(r"^ {2,6}(?:-\w, )?(--[\w-]+)(?: ([^ ]+))?", told, re.M):
        value = unit and (unit.split("|")[0] if unit[0].islower() else "1")
        words = [name] if name in ("--json", "--quiet", "--force", "--partial") else [name, value or "1"]
        tried = run(command, *words, "--help", ranks=0, check=False)
        assert "unknown option" not in tried.err


def test_general_help_lists_every_command_and_needs_no_launcher():
    told = run("help", ranks=0).out
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w", told, re.M), command
    assert run("--help", ranks=0).out == told
    assert run("--help", ranks=3).out == told


def test_no_command_shows_the_help_and_fails():
    told = run(ranks=0, check=False)
    assert told.code == 2 and "Usage:" in told.out + told.err


def test_version_names_the_kernels():
    assert re.match(r"mpivf \d+\.\d+\.\d+ \(kernels \w+", run("--version", ranks=0).out)


USAGE = [
    (["frobnicate"], "there is no command 'frobnicate'"),
    (["build", "a", "b", "--frobnicate"], "unknown option '--frobnicate'"),
    (["build", "a", "b", "-Z"], "unknown option '-Z'"),
    (["build", "a", "b", "--s"], "option '--s' could be --"),
    (["truth", "a", "b", "c", "--m=l2"], "option '--m=l2' could be --metric, --memory; write more of it"),
    (["build", "a"], "an operand is missing"),
    (["build"], "2 operands are missing"),
    (["build", "a", "b", "c"], "'c' is one operand too many"),
    (["merge", "a"], "operand"),
    (["build", "a", "b", "--lists"], "'--lists' needs a value"),
    (["build", "a", "b", "--lists", "0"], "--lists '0' is not a whole number, 1 to 1048576"),
    (["build", "a", "b", "--lists", "12x"], "--lists '12x'"),
    (["build", "a", "b", "--lists", "-3"], "--lists '-3'"),
    (["build", "a", "b", "--lists", "99999999999999999999"], "--lists"),
    (["build", "a", "b", "--metric", "l3"], "--metric 'l3' is not one of l2|ip|cosine"),
    (["build", "a", "b", "--metric", "c"], "--metric 'c'"),
    (["build", "a", "b", "--codec", ""], "--codec ''"),
    (["build", "a", "b", "--bad-rows", "keep"], "--bad-rows 'keep'"),
    (["build", "a", "b", "--tolerance", "nan"], "--tolerance 'nan'"),
    (["build", "a", "b", "--memory", "lots"], "--memory 'lots'"),
    (["build", "a", "b", "--memory", "-1G"], "--memory '-1G'"),
    (["build", "a", "b", "--fan-in", "1"], "--fan-in '1'"),
    (["build", "a", "b", "--part", "0/3", "--model", "m"], "--part '0/3'"),
    (["build", "a", "b", "--part", "4/3", "--model", "m"], "--part '4/3'"),
    (["build", "a", "b", "--part", "1", "--model", "m"], "--part '1'"),
    (["build", "a", "b", "--part", "1/3"], "--part needs --model"),
    (["search", "a", "b", "c", "-k", "0"], "'0'"),
    (["search", "a", "b", "c", "-p", "2", "-r", "0.9"], "--probes and --recall exclude each other"),
    (["search", "a", "b", "c", "--recall", "1.5"], "--recall '1.5'"),
    (["truth", "a", "b", "c", "--neighbours", "ten"], "--neighbours 'ten'"),
    (["eval", "a", "b", "--min-recall", "2"], "--min-recall '2'"),
    (["generate", "a", "--dim", "0"], "--dim '0'"),
    (["shuffle", "a"], "operand"),
    (["shuffle", "a", "b", "--seed", "-1"], "--seed '-1'"),
]


@pytest.mark.parametrize("words, says", USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_usage_exits_with_2(words, says):
    fails(*words, code=2, says=says, ranks=0)


@pytest.mark.parametrize("words, says", USAGE[:4], ids=["command", "option", "letter", "operand"])
def test_wrong_usage_is_told_once_by_many_ranks(words, says):
    fails(*words, code=2, says=says, ranks=3)


def test_silent_ranks_do_not_end_the_one_that_tells():
    """A rank that leaves with an error makes mpirun end the others; rank 0 has to have spoken."""
    words = f"[ $OMPI_COMM_WORLD_RANK = 0 ] && sleep 1; exec '{PROGRAM}' build a b --frobnicate"
    done = execute(["mpirun", "-n", 3, "sh", "-c", words])
    assert done.code == 2
    assert len(done.messages()) == 1 and "unknown option" in done.messages()[0]


def test_rerank_needs_raw_rows(tmp_path, place):
    for ranks in (0, 3):
        fails("search", place / "index", place / "in.h5", tmp_path / "x", "--rerank", 30, code=2,
              says="--store source", ranks=ranks, output=tmp_path / "x")


def words_of(place, tmp_path):
    """One good call of every command."""
    source, out = place / "in.h5", tmp_path / "x"
    return {"generate": (out, "-n", 50), "train": (source, out, "-l", 3), "info": (place / "index",),
            "build": (source, out, "-l", 3), "merge": (place / "index", out), "verify": (place / "index",),
            "truth": (source, source, out), "search": (place / "index", source, out),
            "eval": (place / "result", place / "truth"), "shuffle": (source, out)}


@pytest.mark.parametrize("command", COMMANDS)
def test_results_go_to_standard_output_and_progress_elsewhere(tmp_path, place, command):
    words = (command, *words_of(place, tmp_path)[command])
    force = ("--force",) if "--force" in OPTIONS[command] else ()
    plain = run(*words, ranks=2)
    assert plain.out.strip() and "mpivf:" not in plain.out
    assert [line for line in plain.err.splitlines() if not line.startswith("mpivf: ")] == []
    quiet = run(*words, "--quiet", "--json", *force, ranks=2)
    assert quiet.err == ""
    told = json.loads(quiet.out)
    assert isinstance(told, dict) and told
    assert all(str(key) in plain.out for key in told if not isinstance(told[key], (list, dict))) \
        or command == "eval"


def test_a_report_of_every_phase_and_rank_lies_beside_the_output(tmp_path, place):
    run("build", place / "in.h5", tmp_path / "x", "-l", 3, ranks=3)
    report = json.loads((tmp_path / "x.report.json").read_text())
    assert report["ranks"] == 3
    text = json.dumps(report)
    for word in ("sample", "k-means", "add", "merge", "seconds", "rows", "bytes_read", "bytes_written"):
        assert f'"{word}' in text, word


def test_a_full_standard_output_is_an_error(place):
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "info", str(place / "index")], stdout=full,
                              stderr=subprocess.PIPE, text=True, env=environment(ALONE))
    assert done.returncode == 1 and "standard output" in done.stderr
