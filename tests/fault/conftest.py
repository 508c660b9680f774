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
