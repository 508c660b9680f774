import os

import pytest
from program import PROGRAM


@pytest.fixture(scope="session", autouse=True)
def fault_points():
    """Without them every case would pass for the wrong reason."""
    if b"MPIVF_FAULT_LOG" not in open(PROGRAM, "rb").read():
        pytest.skip("this build has no fault points (-DMPIVF_FAULTS=ON)")


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory, fault_points):
    from scenarios import all_scenarios
    return all_scenarios(str(tmp_path_factory.mktemp("inputs")))


@pytest.fixture
def root(tmp_path):
    """A folder for the cases, as text."""
    return os.fspath(tmp_path)


@pytest.fixture(scope="session")
def jobs(scenarios, tmp_path_factory):
    from truths import all_jobs
    return all_jobs(os.path.dirname(scenarios["truth"].words("")[1]), tmp_path_factory.mktemp("tight"))


@pytest.fixture(scope="session")
def clean_truth(jobs, tmp_path_factory):
    """clean_truth(name, ranks): the right bytes and the passes of a run that nobody disturbs."""
    known = {}

    def get(name, ranks):
        if (name, ranks) not in known:
            known[name, ranks] = jobs[name].clean(str(tmp_path_factory.mktemp("clean")), ranks)
            assert known[name, ranks][0] == known[min(known, key=lambda key: key[0] != name)][0]
        return known[name, ranks]
    return get
