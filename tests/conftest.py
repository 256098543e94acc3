"""What every test may ask for; a missing part skips with its reason, or fails where required."""

from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.db_fixtures", "tests.serving"]

# The first example of a test may build a transformer or wait for a busy machine.
hypothesis.settings.register_profile("gridsvc", deadline=None)
hypothesis.settings.load_profile("gridsvc")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-shared",
        action="store_true",
        help="fail, instead of skipping, tests whose real city data is missing",
    )
    parser.addoption(
        "--require-qgis",
        action="store_true",
        help="fail, instead of skipping, tests that find no QGIS",
    )


@pytest.fixture(scope="session")
def shared_data(pytestconfig: pytest.Config) -> Path:
    """The folder of real city data beside the checkout."""
    if not (SHARED_DATA / "MANIFEST.csv").is_file():
        reason = "the real city data is missing: no ../shared/data beside the checkout"
        if pytestconfig.getoption("--require-shared"):
            pytest.fail(f"{reason}, and --require-shared was given")
        pytest.skip(reason)
    return SHARED_DATA
