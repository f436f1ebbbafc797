"""What every test may ask for; see `docs/testing.md` for the kinds and budgets."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def skip_or_fail(reason: str) -> None:
    """Skip on a bare machine; under CI what a test needs must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"under CI=true this must not be absent: {reason}")
    pytest.skip(reason)


def pytest_configure() -> None:
    """Let children hear Ctrl-C, also where the shell that started us ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    """Give each test its own state, and no server started by accident."""
    monkeypatch.setenv("LABWM_HOME", str(tmp_path_factory.mktemp("labwm-home")))
    monkeypatch.delenv("LABWM_DATABASE_URL", raising=False)
    monkeypatch.delenv("LABWM_OBJECTS_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.exists():
        skip_or_fail("the folder ../shared with measured data sets is absent")
    return SHARED


@pytest.fixture
def mirror(shared, monkeypatch) -> Path:
    """Folder that stands in for the public addresses of the catalogue."""
    folder = shared / "data" / "mirror"
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(folder))
    return folder
