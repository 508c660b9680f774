"""Truths that are disturbed: what they write, that it is right or not there, and how they end."""
import collections
import concurrent.futures
import os
import random
import shutil
import subprocess
import time

from faults import AT_ONCE, LISTS, SOAK, TIMEOUT, contents, drop_empty, has_work, kill_tree, launch
from program import PROGRAM, environment, run, tight_memory

K = 20
WORK = "out.h5.work"


# Nothing is lost when a file that was only read fails to close, nor when the manifest cannot be read
# to learn whether outputs may be replaced: then they may not.
HARMLESS = {"file-close", "json-read"}


class Job:
    """A command: words(folder) -> arguments; outputs: the files that it makes in `folder`; more: words that
    change nothing of these."""

    def __init__(self, name, words, outputs, more=((),)):
        self.name, self.words, self.outputs, self.more = name, words, outputs, more

    def clean(self, root, ranks):
        """Run undisturbed: (bytes by output, passes)."""
        folder, aside = f"{root}/{self.name}-{ranks}", f"{root}/{self.name}-{ranks}-aside"
        os.makedirs(folder)
        os.makedirs(aside)
        done = launch(self.words(folder), ranks, aside, timeout=60)
        assert set(done.codes.values()) == {0} and len(done.codes) == ranks, f"{self.name}: {done}"
        right = {name: contents(f"{folder}/{name}") for name in self.outputs}
        assert all(right.values()) and names(folder) == set(self.outputs)
        return right, done.passes


def names(folder):
    return {name for name in os.listdir(folder) if ".report.json" not in name}


def works(folder):
    """The work folders that have work."""
    return {name for name in names(folder) if name.endswith(".work") and has_work(f"{folder}/{name}")}


def all_done(folder, right):
    """Has a run that was cut short done all, but for its report?"""
    if works(folder) or not names(folder) >= set(right):
        return False
    drop_empty(folder)
    return names(folder) == set(right)


def checkpoints(folder, work):
    """The whole checkpoints of a truth."""
    return sorted(name for name in os.listdir(f"{folder}/{work}")
                  if name.startswith("checkpoint-") and not name.endswith(".partial"))


def assert_right_or_absent(folder, right, case):
    for name, text in right.items():
        assert contents(f"{folder}/{name}") in (None, text), f"{case}: a wrong {name}"


def assert_done(folder, right, case=""):
    assert_right_or_absent(folder, right, case)
    assert names(folder) == set(right), f"{case}: {names(folder)} instead of {set(right)}"


def finish(job, folder, ranks, right, case=""):
    """Run the command to its end; what it says as JSON, and its notes."""
    done = run(*job.words(folder), "--json", ranks=ranks, check=False)
    assert done.code == 0, f"{case}: the next run fails\n{done.err}"
    assert_done(folder, right, case)
    return done


def go_on(job, folder, ranks, right, case):
    """After a disturbance: all of it right or absent, and the same command ends well."""
    assert_right_or_absent(folder, right, case)
    if all_done(folder, right):
        return "finished before"
    if not works(folder):
        assert not names(folder) & set(right), f"{case}: half of the outputs, and no work folder"
    finish(job, folder, 1 + ranks % 3, right, case)
    return "resumed"


def one_fault(job, root, ranks, fault, right):
    """One failure: exit 1 on all ranks, one line, no hang; then it goes on."""
    case = f"{job.name} on {ranks} ranks, MPIVF_FAULT={fault}"
    place = f"{root}/{fault.replace(':', '-')}"
    folder, aside = f"{place}/out", f"{place}/aside"
    os.makedirs(folder)
    os.makedirs(aside)
    done = launch(job.words(folder), ranks, aside, fault)
    assert not done.hung, f"{case}: a hang\n{done}"
    assert len(done.codes) == ranks, f"{case}: a rank was killed\n{done}"
    assert len(set(done.codes.values())) == 1, f"{case}: the ranks disagree\n{done}"
    if done.codes[0] == 0:
        site, rank, nth = fault.split(":")
        fired = done.passes[site, int(rank)] >= int(nth)
        assert not fired or site in HARMLESS, f"{case}: the fault was swallowed\n{done}"
        assert_done(folder, right, case)
        outcome = "harmless" if fired else "not reached"
    else:
        lines = [line for line in done.err.splitlines() if "is damaged" not in line]
        assert done.codes[0] == 1 and len(lines) == 1, f"{case}: one line expected\n{done}"
        assert lines[0].startswith("mpivf") and done.out == "", f"{case}: {done}"
        outcome = go_on(job, folder, ranks, right, case)
    shutil.rmtree(place)
    return outcome


def one_kill(job, root, ranks, fault, right):
    """One rank killed, and mpirun ends the others; then it goes on."""
    case = f"{job.name} on {ranks} ranks, killed at {fault}"
    folder = f"{root}/{fault.replace(':', '-')}"
    os.makedirs(folder)
    done = run(*job.words(folder), ranks=ranks, env={"MPIVF_FAULT": fault + ":kill"},
               timeout=TIMEOUT, check=False)
    if done.code == 0:
        assert_done(folder, right, case)
        return "not reached"
    assert not done.messages(), f"{case}: killed, and yet\n{done.err}"
    outcome = go_on(job, folder, ranks, right, case)
    shutil.rmtree(folder)
    return outcome


def matrix(one, job, root, ranks, right, passes, where=(0.5,)):
    """one() for some passes of all sites on the first and the last rank; the outcomes counted.

    where: which of the passes, 0 = the first, 1 = the last. In a soak: all.
    """
    faults = []
    for (site, rank), count in sorted(passes.items()):
        some = {1 + round(share * (count - 1)) for share in where}
        if rank in (0, ranks - 1):
            faults += [f"{site}:{rank}:{nth}" for nth in (range(1, count + 1) if SOAK else sorted(some))]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        cases = [pool.submit(one, job, root, ranks, fault, right) for fault in faults]
    tally, broken = collections.Counter(), []
    for case in cases:
        try:
            tally[case.result()] += 1
        except AssertionError as error:
            broken.append(str(error))
    print(f"{job.name}: {len(cases)} cases: {dict(tally)}")
    if os.environ.get("MPIVF_FAULT_TALLY"):
        with open(os.environ["MPIVF_FAULT_TALLY"], "a") as file:
            file.write(f"{one.__name__} {job.name} {ranks} {len(cases)} {dict(tally)}\n")
    assert not broken, f"{len(broken)} of {len(cases)} cases:\n" + "\n----\n".join(broken)
    assert tally["resumed"] > len(cases) / 2 and tally["not reached"] <= len(cases) / 20, tally


def little(*words):
    """--memory with which `words` makes several passes and slabs on up to 3 ranks."""
    words = (*words, "--threads", 1)
    need = max(int(tight_memory(*words, ranks=ranks)[:-1]) for ranks in (1, 3))
    return ["--threads", 1, "--memory", f"{need + 256}k"]


def all_jobs(given, scratch):
    """The commands, by name: several passes and slabs, and progress kept after every read."""
    rows = f"{given}/rows.h5"
    kept = ["-k", K, "--checkpoint", 0, "-q"]
    ways = ["--self", "--queries", 900]
    tight = little("truth", rows, f"{scratch}/out.h5", *ways, *kept)
    alone = little("truth", f"{rows}:test", f"{scratch}/out.h5", "--self", *kept)
    more = f"{int(alone[-1][:-1]) + 200}k"

    def ask(folder):
        return ["truth", rows, f"{folder}/out.h5", *ways, *tight, *kept]

    def ask_all(folder):
        return [*ask(folder), "--prefix", "5K,12K", "--also", "xbin,vecs"]

    def ask_each_other(folder):
        return ["truth", f"{rows}:test", f"{folder}/out.h5", "--self", *alone, *kept]

    def build(folder):
        return ["build", rows, f"{folder}/out.idx", "--model", f"{given}/model", "--ids", f"{rows}:id",
                "--truth", f"{rows}:test:{folder}/out.h5", "--truth-k", K, "--read", "collective", "-q"]

    def train(folder):
        return ["build", rows, f"{folder}/out.idx", "--lists", LISTS, "--iterations", 2, "--sample", 600,
                "--truth", f"{rows}:{folder}/out.h5", "--truth-k", K, "-q"]

    every = [f"out-{n}.{ending}" for n in ("5K", "12K") for ending in ("h5", "bin", "ivecs", "fvecs")]
    found = [Job("truth", ask, ["out.h5"]), Job("truth-all", ask_all, every),
             Job("truth-self", ask_each_other, ["out.h5"], [(), ("--memory", more), ("--memory", "1G")]),
             Job("build", build, ["out.idx", "out.h5"]), Job("build-train", train, ["out.idx", "out.h5"])]
    return {job.name: job for job in found}


def again_and_again(job, root, right, seed):
    """All processes killed at once, at any moment; every time with another number of ranks."""
    chance = random.Random(seed)
    folder = f"{root}/out"
    os.makedirs(folder)
    words = [str(word) for word in job.words(folder)]
    # what a killed mpirun leaves of its own goes where pytest tidies up
    env = environment({"OMP_NUM_THREADS": "1", "OMPI_MCA_orte_tmpdir_base": root,
                       "OMPI_MCA_btl_vader_backing_directory": root})
    os.makedirs(f"{root}/first")
    start = time.monotonic()
    run(*job.words(f"{root}/first"), ranks=2)
    usual = time.monotonic() - start
    kills = 0
    while kills < (40 if SOAK else 5):
        ranks, more = chance.choice((1, 2, 3)), chance.choice(job.more)
        process = subprocess.Popen(["mpirun", "-n", str(ranks), PROGRAM, *words, *more], env=env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=chance.uniform(0.2, 1.0) * usual)
            assert process.returncode == 0, f"after {kills} kills:\n{err.decode()}"
            assert_done(folder, right, f"after {kills} kills")
            for left in os.listdir(folder):
                os.remove(f"{folder}/{left}")
            usual *= 0.8  # it was done before the kill: once more, and sooner
        except subprocess.TimeoutExpired:
            kill_tree(process)
            process.stderr.close()
            kills += 1
            assert_right_or_absent(folder, right, f"after {kills} kills")
            if all_done(folder, right):
                for left in os.listdir(folder):
                    os.remove(f"{folder}/{left}")
    finish(job, folder, 2, right, f"after {kills} kills")
