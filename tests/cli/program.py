"""Running the program as a user does: run(), ranks, and what a failure has to look like."""
import json
import os
import subprocess

PROGRAM = os.environ["MPIVF"]
DATA = os.environ.get("MPIVF_DATA", "")
SLOW = 4 if "ASAN_OPTIONS" in os.environ and b"__asan_init" in open(PROGRAM, "rb").read() else 1


class Run:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def messages(self):
        """The program's own lines on standard error, without mpirun's."""
        return [line for line in self.err.splitlines() if line.startswith("mpivf")]


def run(*words, ranks=1, env=None, timeout=60, check=True, cwd=None):
    """Run the program on `ranks` ranks; a hang is a failure. check: it has to succeed."""
    command = [PROGRAM] + [str(word) for word in words]
    if ranks:
        command = ["mpirun", "-n", str(ranks)] + command
    full = dict(os.environ, **(env or {}))
    done = subprocess.run(command, env=full, timeout=timeout * SLOW, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    result = Run(done.returncode, done.stdout, done.stderr)
    if check:
        assert result.code == 0, f"{' '.join(command)}\nexit {result.code}\n{done.stdout}{done.stderr}"
    return result


def fails(*words, code=1, says="", ranks=1, env=None, timeout=60, output=None):
    """Run and expect one clear line with `says`, exit `code`, nothing under the final name."""
    before = os.path.exists(output) and open(output, "rb").read() if output else None
    result = run(*words, ranks=ranks, env=env, timeout=timeout, check=False)
    assert result.code == code, f"exit {result.code}, not {code}\n{result.out}{result.err}"
    lines = result.messages()
    assert len(lines) == 1, f"one line expected:\n{result.err}"
    assert says in lines[0], f"'{says}' expected in: {lines[0]}"
    if output:
        after = os.path.exists(output) and open(output, "rb").read()
        assert after == before, f"{output} was touched"
        assert not os.path.exists(f"{output}.partial"), f"{output}.partial is left"
    return result


def data(name):
    """The path of a real dataset, or skip the test, saying so."""
    import pytest
    path = os.path.join(DATA, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not here (MPIVF_DATA={DATA})")
    return path
