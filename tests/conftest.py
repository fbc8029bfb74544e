"""What all tests share: a quiet TensorFlow, two devices, the way to data outside the checkout."""

import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest

from tests import damage

ROOT = pathlib.Path(__file__).resolve().parents[1]

# TensorFlow's first call of an operation is slow, and a failure must be repeatable.
hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, max_examples=50, database=None
)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    """Begin with the tests of whole commands, which take longest: no process ends alone then."""
    first = [ROOT / "tests", ROOT / "tests/cli/commands", ROOT / "tests/conformance"]
    items.sort(key=lambda item: item.path.parent not in first)


def pytest_collection_finish():
    """Split the processor into two devices before the first operation runs."""
    # The imported modules are a million objects that stay: no collection needs to visit them.
    gc.freeze()
    if "tensorflow" not in sys.modules:
        return
    tf = sys.modules["tensorflow"]
    (processor, *_) = tf.config.list_physical_devices("CPU")
    if tf.config.get_logical_device_configuration(processor) is None:
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, two)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Collect the garbage of a file, and exclude what stays from later collections.

    A process that has traced functions for minutes holds millions of objects, and visiting all of
    them takes seconds where the system has put away the memory that was not used for a while.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Say how many odd or damaged inputs the fuzz and property tests tried."""
    tried = [
        count
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, count in getattr(report, "user_properties", ())
        if name == damage.TRIED and report.when == "call"
    ]
    if tried:
        terminalreporter.write_line(f"{sum(tried):,} {damage.TRIED} in {len(tried)} tests")


@pytest.fixture(scope="session")
def two_devices() -> list[str]:
    """Names of two devices on any machine, for tests of replicas."""
    return ["CPU:0", "CPU:1"]


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    """The checkout's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def outside_data() -> pathlib.Path:
    """The folder of reference data kept outside the checkout; skips the test where it is not."""
    folder = pathlib.Path(os.environ.get("OUTSIDE_TEST_DATA", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is not there; OUTSIDE_TEST_DATA= names it")
    return folder


@pytest.fixture(scope="session")
def golden(request, repository):
    """Finds a folder of reference values: in this checkout, or else with the data outside it."""

    def find(name: str) -> pathlib.Path:
        inside = repository / "tests" / "golden" / name
        if inside.is_dir():
            return inside
        return request.getfixturevalue("outside_data") / "golden" / name

    return find
