"""Running the program as a user does: run(), ranks, and what a failure has to look like."""
import atexit
import filecmp
import functools
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

PROGRAM = os.environ["MPIVF"]
DATA = os.environ.get("MPIVF_DATA", "")
SLOW = 4 if "ASAN_OPTIONS" in os.environ and b"__asan_init" in open(PROGRAM, "rb").read() else 1
# What Open MPI is told to leave out: the search for networks that one machine does not need (half
# the time of a short run), and the second it waits before it ends the ranks of a failed job.
OPEN_MPI = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,vader",
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            "OMPI_MCA_odls_base_sigkill_timeout": "0"}
PAIRS = {"MPIVF_PAIRS": "once"}  # also where rows are too few for it
ALONE = {"OMPI_MCA_ess_singleton_isolated": "1"}  # without mpirun: start no daemon
FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def environment(*more):
    """Of two runs that share Open MPI's folder one may remove what the other has just made: none share it."""
    full = {**PAIRS, **os.environ, **OPEN_MPI, "OMPI_MCA_orte_tmpdir_base": tempfile.mkdtemp(dir=FOLDER)}
    for each in more:
        full.update(each or {})
    return full


class Run:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def messages(self):
        """The program's own lines on standard error, without mpirun's."""
        return [line for line in self.err.splitlines() if line.startswith("mpivf")]


def execute(command, env=None, timeout=60, cwd=None):
    done = subprocess.run([str(word) for word in command], env=environment(env), timeout=timeout * SLOW, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Run(done.returncode, done.stdout, done.stderr)


def run(*words, ranks=1, env=None, timeout=60, check=True, cwd=None):
    """Run the program on `ranks` ranks; a hang is a failure. check: it has to succeed.

    ranks 0 is one rank without mpirun.
    """
    command = (["mpirun", "-n", ranks] if ranks else []) + [PROGRAM] + list(words)
    env = dict({} if ranks else ALONE, **(env or {}))
    result = execute(command, env=env, timeout=timeout, cwd=cwd)
    if check:
        told = " ".join(str(word) for word in command)
        assert result.code == 0, f"{told}\nexit {result.code}\n{result.out}{result.err}"
    return result


def content(path):
    """The bytes of a file, None when it is not there; a folder is its names."""
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def fails(*words, code=1, says="", ranks=1, env=None, timeout=60, output=None):
    """Run and expect one clear line with `says`, exit `code`, nothing under the final name."""
    before = content(output) if output else None
    result = run(words[0], "--quiet", *words[1:], ranks=ranks, env=env, timeout=timeout, check=False)
    assert result.code == code, f"exit {result.code}, not {code}\n{result.out}{result.err}"
    lines = result.messages()
    assert len(lines) == 1, f"one line expected:\n{result.err}"
    assert says in lines[0], f"'{says}' expected in: {lines[0]}"
    assert result.out == "", f"a failure has no result, but printed: {result.out}"
    if output:
        assert content(output) == before, f"{output} was touched"
        left = glob.glob(f"{glob.escape(str(output))}.*.partial")
        assert not left, f"{left} is left"
    return result


@functools.cache
def kernel(forced=os.environ.get("MPIVF_KERNEL")):
    """The instruction set that the program uses, or would use if `forced` to one."""
    env = {"MPIVF_KERNEL": forced} if forced else None
    return re.search(r"kernels (\w+)", run("--version", ranks=0, env=env).out).group(1)


def has_kernel(name):
    """Does it run on this processor? To be asked by a test that needs it."""
    return kernel(name) == name


def has_filter(name):
    """Does this filter of MPIVF_FILTER run with the set in use? int8 needs dot products of bytes."""
    return name != "int8" or kernel() == "vnni"


@functools.cache
def taken():
    """KiB that the program takes itself. It varies by half a MiB: from now on all runs count this much."""
    if b"MPIVF_FAULT_TAKEN" not in open(PROGRAM, "rb").read():
        import pytest
        pytest.skip("this build cannot be told what it takes (-DMPIVF_FAULTS=ON)")
    told = [run("info", "-", "--memory", "16M", ranks=ranks, check=False).messages()[0] for ranks in (1, 5)]
    most = max(float(re.search(r"take ([0-9.]+) MiB", line).group(1)) for line in told)
    os.environ["MPIVF_FAULT_TAKEN"] = str(int(1024 * (most + 0.5)))
    return int(os.environ["MPIVF_FAULT_TAKEN"])


def memory(buffers):
    """A --memory that leaves `buffers` MiB for buffers."""
    return f"{taken() + int(1024 * buffers)}k"


def least_memory(*words, first, says, more, ranks):
    """A --memory that leaves `more` MiB beyond what a run says that it needs: (...) MiB, (...) are left."""
    found = None
    while found is None:  # from what is too little for anything to what is too little for this
        told = run(*words, "--memory", memory(first), ranks=ranks, check=False)
        found = re.search(says, told.err)
        assert told.code and (found or first < 16), f"no such --memory: {told.err}"
        first += 0 if found else 0.25
    need, left = found.groups()
    return memory(first + float(need) - float(left) + more)


def tight_memory(*words, more=1.0, ranks=1):
    """A --memory that leaves the buffers of `truth ...` `more` MiB beyond the least it says it needs."""
    return least_memory(*words, first=1, says=r"needs ([0-9.]+) MiB of buffers at least, ([0-9.]+) MiB are left",
                        more=more, ranks=ranks)


def sample_memory(*words, more, ranks=1):
    """A --memory with which `train ...` leaves rank 0 `more` MiB beyond the least, other ranks more."""
    return least_memory(*words, "--threads", 1, first=1, more=more, ranks=ranks,
                        says=r"needs ([0-9.]+) MiB of buffers at least, ([0-9.]+) MiB are left")


def same(a, b):
    """Have two files the same bytes?"""
    return filecmp.cmp(a, b, shallow=False)


def same_answers(a, b):
    """Have two results the same datasets and attributes, but for the mark of what was asked?"""
    import h5py
    with h5py.File(a) as x, h5py.File(b) as y:
        attributes = [{k: v for k, v in f.attrs.items() if k != "request"} for f in (x, y)]
        return (set(x) == set(y) and attributes[0] == attributes[1]
                and all(x[name].dtype == y[name].dtype and (x[name][:] == y[name][:]).all() for name in x))


def neighbours(path):
    """The ids and distances of a result."""
    import h5py
    with h5py.File(path) as file:
        return file["neighbors"][:], file["distances"][:]


def recall(result, truth, k):
    """Share of the truth's first k ids that are among the result's first k."""
    found = sum(len(set(a[:k]) & set(b[:k])) for a, b in zip(result, truth))
    return found / (k * len(truth))


def save(path, **datasets):
    """Write arrays as contiguous datasets of an HDF5 file."""
    import h5py
    with h5py.File(path, "w") as file:
        for name, rows in datasets.items():
            file[name] = rows
    return path


def data(name):
    """The path of a real dataset, or skip the test, saying so."""
    import pytest
    path = os.path.join(DATA, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not here (MPIVF_DATA={DATA})")
    return path
