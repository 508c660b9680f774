"""The commands that faults are put into, between them passing every fault point."""
import os
import shutil

from faults import LISTS, ROWS, Scenario, launch, make_inputs
from program import SLOW, memory, sample_memory


def interrupted(words, fault, folder):
    """prepare(folder) that puts there the work folder of a build which failed at `fault`."""
    aside, work = f"{folder}/aside", f"{folder}/out.idx.work"
    os.makedirs(aside)
    done = launch(words(folder), 2, aside, fault, timeout=60 * SLOW)
    assert set(done.codes.values()) == {1}, f"the first run: {done}"
    assert any(name.startswith("shard-") for name in os.listdir(work)), str(done)
    return lambda other: shutil.copytree(work, f"{other}/out.idx.work")


def all_scenarios(base):
    """By name; `base` is an empty folder that stays for the session."""
    given = make_inputs(base)
    rows, npy, model = f"{given}/rows.h5", f"{given}/rows.npy", f"{given}/model"
    two = ["--lists", 520, "--iterations", 2]
    least = max((sample_memory("train", npy, f"{given}/unused", *two, more=0.65, ranks=ranks)
                 for ranks in (1, 5)), key=lambda size: int(size[:-1]))
    few, tight, streams = (["--threads", 1, "--memory", each] for each in (memory(2), memory(9.3), least))
    raw = ["--codec", "int8", "--store", "source", "--fan-in", 2, "-q"]

    def build_spill(folder):
        """Some 9 MiB of buffers: several shards a rank; ids, several rounds."""
        return ["build", rows, f"{folder}/out.idx", "--model", model, "--ids", f"{rows}:id",
                *tight, *raw]

    def build_train(folder):
        """Everything in one go, HDF5 read collectively."""
        return ["build", f"{rows}:plain", f"{folder}/out.idx", "--lists", LISTS, "--iterations", 2,
                "--read", "collective", *raw]

    def train_streams(folder):
        """Two levels, and more of a sample than there is memory for."""
        return ["train", npy, f"{folder}/out.model", *two, *streams, "-q"]

    def build_npy(folder):
        return ["build", npy, f"{folder}/out.idx", "--lists", LISTS, "--iterations", 2, "-q"]

    found = [
        Scenario("build-spill", build_spill, "out.idx", resumes=True),
        Scenario("build-train", build_train, "out.idx", resumes=True),
        Scenario("build-npy", build_npy, "out.idx", resumes=True),
        Scenario("build-resumed", build_spill, "out.idx", resumes=True,
                 prepare=interrupted(build_spill, "file-rename:1:2", f"{given}/interrupted")),
        Scenario("train", lambda f: ["train", rows, f"{f}/out.model", "--lists", LISTS,
                                     "--iterations", 2, "-q"], "out.model"),
        Scenario("train-streams", train_streams, "out.model"),
        Scenario("train-again", train_streams, "out.model", resumes=True),
        Scenario("merge", lambda f: ["merge", *[f"{given}/part{i}" for i in (1, 2, 3)], model,
                                     f"{f}/out.idx", "--fan-in", 2, "-q"], "out.idx"),
        Scenario("generate", lambda f: ["generate", f"{f}/out.h5", "-n", ROWS, "-d", 32,
                                        "--queries", 20, "--clusters", 10, "-q"], "out.h5"),
        Scenario("shuffle", lambda f: ["shuffle", rows, f"{f}/out.h5", *few, "-q"], "out.h5"),
        Scenario("shuffle-virtual", lambda f: ["shuffle", f"{given}/virtual.h5", f"{f}/out.h5", "-q"],
                 "out.h5"),
        Scenario("truth", lambda f: ["truth", rows, rows, f"{f}/out.truth", "-k", 10, "-q"],
                 "out.truth", resumes=True),
        Scenario("truth-npy", lambda f: ["truth", npy, rows, f"{f}/out.truth", "-k", 10, "-q"],
                 "out.truth", resumes=True),
        Scenario("search-rerank", lambda f: ["search", f"{given}/index", rows, f"{f}/out.result",
                                             "-k", 10, "-p", 4, "--rerank", 50, "-q"],
                 "out.result"),
        Scenario("search-recall", lambda f: ["search", f"{given}/index", rows, f"{f}/out.result",
                                             "-k", 10, "--recall", 0.9, "-q"], "out.result"),
        Scenario("verify", lambda f: ["verify", f"{given}/index", "-q"]),
        Scenario("info", lambda f: ["info", f"{given}/index", "-q"]),
        Scenario("eval", lambda f: ["eval", f"{given}/result", f"{given}/truth", "-q"]),
    ]
    return {scenario.name: scenario for scenario in found}
