"""The storms of tests/storms.py, played small."""
import pathlib
import sys

import pytest

from server_process import SLOWNESS

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from storms import STORMS, Place, make_talker  # noqa: E402

MEASURING = ("slow", "overload", "fairness")


@pytest.fixture(scope="session")
def talker(folder):
    return make_talker(folder)


@pytest.mark.parametrize("name", STORMS)
def test_storm(name, folder, talker):
    if SLOWNESS > 1 and name in MEASURING:
        pytest.skip("sanitizers change what it measures")
    STORMS[name](Place(folder, talker, quick=True, seed=1))
