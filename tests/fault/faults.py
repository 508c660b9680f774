"""One armed fault at a time: which passes a command makes, and what a failure has to look like.

A case is (scenario, ranks, site, rank, nth): the nth pass of that rank through the site fails.
Every rank's own exit code is recorded by a shell around the program, because mpirun's tells only
the first one's; the shell itself succeeds, so that mpirun ends nobody early.
"""
import collections
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import time

import h5py
import numpy as np
from program import PROGRAM, SLOW, environment

HERE = os.path.dirname(os.path.abspath(__file__))
SOAK = os.environ.get("MPIVF_SOAK") == "1"  # every pass at every rank count
TIMEOUT = 40 * SLOW                         # a hang is a failure
AT_ONCE = 4                                 # mpirun mostly waits; two cores carry four of them
ROWS, DIM, LISTS = 12000, 128, 16
OLD = b"an older file that --force may replace, but only by a whole one"

# Exit 1 and yet the output is there: what still ran once it was whole. It has to be the right one.
AFTER_COMMIT = {
    "removing the work folder": {"file-remove", "folder-list", "folder-remove"},
    "writing OUT.report.json": {"alloc", "json-write", "file-create", "file-write", "file-sync",
                                "file-close", "file-rename"},
    "reading the finished file to describe it": {"alloc", "file-open", "file-close", "file-read",
                                                 "hdf5-open"},
}
# Exit 0 although the fault fired: nothing is lost when a file that was only read fails to close.
HARMLESS = {"file-close"}


def sites():
    """The fault points that the source knows."""
    text = open(os.path.join(HERE, "../../src/base/fault.h")).read()
    names = re.findall(r'X\([A-Z0-9_]+, "([a-z0-9-]+)"\)', text)
    assert len(names) > 10
    return names


class Ended:
    """How a run ended: exit codes by rank, standard error, passes by (site, rank)."""

    def __init__(self, codes, out, err, passes, hung):
        self.codes, self.out, self.err, self.passes, self.hung = codes, out, err, passes, hung

    def __str__(self):
        return f"{'HUNG ' if self.hung else ''}exit {self.codes}\n{self.out}{self.err}"


def descendants(pid):
    """The processes below one of ours, and itself."""
    child = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{name}/stat").read()
        except OSError:
            continue  # it ended meanwhile
        child[int(stat[stat.rindex(")"):].split()[2])].append(int(name))
    found = [pid]
    for each in found:
        found += child[each]
    return found


def has_work(folder):
    """Is it a work folder to go on in? One whose removal was cut short is empty, or has its lock."""
    return os.path.exists(f"{folder}/manifest.json")


def drop_empty(folder):
    """Without the work folders whose removal was cut short: outputs are named before that begins."""
    for name in os.listdir(folder):
        if name.endswith((".work", ".merge")) and not has_work(f"{folder}/{name}"):
            assert set(os.listdir(f"{folder}/{name}")) <= {"lock"}
            shutil.rmtree(f"{folder}/{name}")


def lives(pid):
    try:
        stat = open(f"/proc/{pid}/stat").read()
    except OSError:
        return False
    return stat[stat.rindex(")"):].split()[1] != "Z"


def kill_tree(process):
    """SIGKILL to one of our processes and all below it, and wait until they are gone."""
    try:
        os.kill(process.pid, signal.SIGSTOP)  # it starts no more
    except ProcessLookupError:
        pass
    tree = descendants(process.pid)
    for pid in tree:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
    while any(lives(pid) for pid in tree):
        time.sleep(0.01)


def launch(words, ranks, aside, fault=None, timeout=TIMEOUT, most=None):
    """Run the program; `aside` is an existing folder for what the run tells about itself.

    most: files of the program end at that many bytes, with an error instead of a signal.
    """
    codes, log = os.path.join(aside, "codes"), os.path.join(aside, "log")
    for path in (codes, log):
        if os.path.exists(path):
            os.remove(path)
    env = environment({"CODES": codes, "MPIVF_FAULT_LOG": log, "OMP_NUM_THREADS": "1"})
    env.pop("MPIVF_FAULT", None)
    if fault:
        env["MPIVF_FAULT"] = fault
    limit = f"trap '' XFSZ; ulimit -f {most // 512}; " if most else ""
    command = ["sh", "-c", f'({limit}exec "$@"); echo "${{OMPI_COMM_WORLD_RANK:-0}} $?" >>"$CODES"',
               "sh", PROGRAM]
    command += [str(word) for word in words]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks)] + command
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    hung = False
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        hung = True
        kill_tree(process)
        out, err = process.communicate()
    by_rank = {}
    if os.path.exists(codes):
        for line in open(codes):
            by_rank[int(line.split()[0])] = int(line.split()[1])
    passes = collections.Counter()
    if os.path.exists(log):
        for line in open(log):
            passes[line.split()[0], int(line.split()[1])] += 1
    return Ended(by_rank, out, err, passes, hung)


def contents(path):
    return open(path, "rb").read() if os.path.exists(path) else None


class Scenario:
    """A command: words(folder) -> arguments; output: the file it makes in `folder`, or None.

    prepare(folder) puts things there before; resumes: the same command again finishes the work.
    """

    def __init__(self, name, words, output=None, prepare=None, resumes=False):
        self.name, self.words, self.output, self.prepare = name, words, output, prepare
        self.resumes = resumes

    def folders(self, root, name):
        folder, aside = os.path.join(root, name, "out"), os.path.join(root, name, "aside")
        os.makedirs(folder)
        os.makedirs(aside)
        if self.prepare:
            self.prepare(folder)
        return folder, aside

    def clean(self, root, ranks):
        """Run without a fault: (output's bytes or text, passes)."""
        folder, aside = self.folders(root, f"{self.name}-clean-{ranks}")
        done = launch(self.words(folder), ranks, aside, timeout=60 * SLOW)
        assert set(done.codes.values()) == {0} and len(done.codes) == ranks, f"{self.name}: {done}"
        result = contents(os.path.join(folder, self.output)) if self.output else done.out
        assert result
        if self.output:
            left = set(os.listdir(folder)) - {self.output, self.output + ".report.json"}
            assert not left, f"{self.name}: {left} is left after success"
        shutil.rmtree(os.path.dirname(folder))
        return result, done.passes


class Outcome(collections.Counter):
    pass


def kept(done):
    """What a run tells that it keeps: a file that is whole but for its name."""
    told = re.search("the result is in '(.*)'", done.err)
    return {os.path.basename(told.group(1))} if told else set()


def check_case(root, scenario, ranks, site, rank, nth, forced, right):
    """Run one case; what happened as a word. Raises AssertionError when it breaks a promise."""
    fault = f"{site}:{rank}:{nth}"
    case = f"{scenario.name} on {ranks} ranks, MPIVF_FAULT={fault}{', --force' if forced else ''}"
    folder, aside = scenario.folders(root, f"{scenario.name}-{ranks}-{site}-{rank}-{nth}")
    words = scenario.words(folder) + (["--force"] if forced else [])
    path = os.path.join(folder, scenario.output) if scenario.output else None
    if forced:
        open(path, "wb").write(OLD)
    before = contents(path) if path else None
    done = launch(words, ranks, aside, fault)
    assert not done.hung, f"{case}: a hang\n{done}"
    assert len(done.codes) == ranks, f"{case}: a rank was killed\n{done}"
    assert len(set(done.codes.values())) == 1, f"{case}: the ranks disagree\n{done}"
    code = done.codes[0]
    after = contents(path) if path else done.out
    fired = done.passes[site, rank] >= nth
    if code == 0:
        assert not fired or site in HARMLESS, f"{case}: the fault was swallowed\n{done}"
        assert done.err == "", f"{case}: success says\n{done}"
        assert after == right, f"{case}: exit 0 and wrong output"
        outcome = "harmless" if fired else "not reached"
    else:
        assert fired, f"{case}: it failed before the fault\n{done}"
        assert code == 1, f"{case}: exit {code}\n{done}"
        lines = done.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("mpivf"), f"{case}: one line expected\n{done}"
        outcome = "failed"
        if path is None:
            assert done.out == "", f"{case}: a result in spite of the failure\n{done}"
        elif after != before:
            assert any(site in after_commit for after_commit in AFTER_COMMIT.values()), \
                f"{case}: the output was touched\n{done}"
            assert after == right, f"{case}: a wrong output is left\n{done}"
            outcome = "failed after the commit"
    if path:
        allowed = {scenario.output, scenario.output + ".report.json"}
        if scenario.resumes and code:
            allowed.add(scenario.output + ".work")
        if site in AFTER_COMMIT["removing the work folder"] and code:
            allowed.add(scenario.output + ".merge")  # what fails is removing it
        left = set(os.listdir(folder)) - allowed
        assert not left - kept(done), f"{case}: {left} is left\n{done}"
    if scenario.resumes and code:
        # done with its work folder gone, the same command may only say that the index exists
        if not (outcome == "failed after the commit" and not has_work(path + ".work")
                and not forced):
            again = launch(words, 1 + ranks % 2, aside, timeout=60 * SLOW)
            assert set(again.codes.values()) == {0}, f"{case}: the next run fails\n{done}\n{again}"
            assert contents(path) == right, f"{case}: the next run gives other bytes\n{done}"
            left = set(os.listdir(folder)) - {scenario.output, scenario.output + ".report.json"}
            assert not left - kept(done), f"{case}: {left} is left after the next run\n{again}"
    shutil.rmtree(os.path.dirname(folder))
    return outcome


def choose(count, how):
    """Which of `count` passes fail."""
    if SOAK:
        return range(1, count + 1)
    return sorted({1, count} if how == "ends" else {1, (count + 1) // 2, count} if how == "three"
                  else {(count + 1) // 2} if how == "middle" else {1} if how == "first" else {count})


def matrix(root, scenarios, rank_counts, how="first", force="never"):
    """All sites x all ranks; `how` chooses the passes; force: never, or last (with the last pass)."""
    if SLOW > 1 and not SOAK:
        rank_counts, how = rank_counts[-1:], "last" if force == "last" else "first"
    if SOAK:
        rank_counts = (1, 2, 3, 5)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        pairs = [(scenario, ranks) for scenario in scenarios for ranks in rank_counts]
        clean = list(pool.map(lambda pair: pair[0].clean(root, pair[1]), pairs))
        jobs = []
        for (scenario, ranks), (right, passes) in zip(pairs, clean):
            assert right == clean[[p[0] for p in pairs].index(scenario)][0], \
                f"{scenario.name}: {ranks} ranks give other bytes"
            for (site, rank), count in sorted(passes.items()):
                for nth in choose(count, how):
                    forced = force == "last" and nth == count and scenario.output is not None
                    jobs.append(pool.submit(check_case, root, scenario, ranks, site, rank, nth,
                                            forced, right))
        outcome, broken = Outcome(), []
        for job in jobs:
            try:
                outcome[job.result()] += 1
            except AssertionError as error:
                broken.append(str(error))
    print(f"{len(jobs)} cases: {dict(outcome)}")
    if os.environ.get("MPIVF_FAULT_TALLY"):
        with open(os.environ["MPIVF_FAULT_TALLY"], "a") as tally:
            tally.write(f"{'+'.join(s.name for s in scenarios)} {rank_counts} {len(jobs)} "
                        f"{dict(outcome)}\n")
    assert not broken, f"{len(broken)} of {len(jobs)} cases:\n" + "\n----\n".join(broken)
    assert outcome["failed"] + outcome["failed after the commit"] > len(jobs) * 3 / 4
    assert outcome["not reached"] <= len(jobs) / 20
    return outcome


def make_inputs(folder):
    """rows.h5 (gzip chunks, ids, queries), virtual.h5 of its rows, rows.npy, and all that the commands start from."""
    rng = np.random.default_rng(5)
    centre = rng.normal(size=(LISTS, DIM)) * 2
    rows = (centre[rng.integers(0, LISTS, ROWS)] + rng.normal(size=(ROWS, DIM))).astype("f4")
    data = f"{folder}/rows.h5"
    with h5py.File(data, "w") as file:
        file.create_dataset("train", data=rows, chunks=(256, DIM), compression="gzip",
                            compression_opts=1)
        file.create_dataset("plain", data=rows, chunks=(256, DIM))
        file.create_dataset("test", data=rows[:20] + np.float32(0.1), chunks=(7, DIM))
        file.create_dataset("id", data=np.arange(ROWS, dtype="i8")[::-1] * 3, chunks=(500,))
    np.save(f"{folder}/rows.npy", rows)
    parts, source = h5py.VirtualLayout(rows.shape, "f4"), h5py.VirtualSource(data, "train", rows.shape)
    parts[:7000], parts[7000:] = source[:7000], source[7000:]
    with h5py.File(f"{folder}/virtual.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("train", parts)

    def make(*words):
        done = launch([*words, "-q"], 2, folder, timeout=60 * SLOW)
        assert done.codes == {0: 0, 1: 0}, f"{words}: {done}"

    make("train", data, f"{folder}/model", "--lists", LISTS, "--iterations", 2)
    for part in 1, 2, 3:
        make("build", data, f"{folder}/part{part}", "--model", f"{folder}/model", "--part",
             f"{part}/3", "--store", "source", "--codec", "f16")
    make("build", data, f"{folder}/index", "--model", f"{folder}/model", "--store", "source",
         "--codec", "f16")
    make("truth", data, data, f"{folder}/truth", "-k", 10)
    make("search", f"{folder}/index", data, f"{folder}/result", "-k", 10, "-p", 4)
    for name in ("part1", "part2", "part3", "index"):
        os.remove(f"{folder}/{name}.report.json")
    return folder
