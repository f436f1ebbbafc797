"""Where labwm keeps its state, and where its shipped files lie.

Every setting is an environment variable; `docs/settings.md` lists them.
"""

import os
from pathlib import Path

from labwm.errors import UnavailableError

_PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """Folder of all state: `LABWM_HOME`, by default `./.labwm`."""
    return Path(os.environ.get("LABWM_HOME") or ".labwm").resolve()


def database_url() -> str:
    """Address of the ledger: `LABWM_DATABASE_URL`, by default SQLite in `home()`."""
    default = f"sqlite:///{home() / 'ledger.db'}"
    return os.environ.get("LABWM_DATABASE_URL") or default


def objects_url() -> str:
    """Folder or fsspec address of the object store: `LABWM_OBJECTS_URL`."""
    return os.environ.get("LABWM_OBJECTS_URL") or str(home() / "objects")


def data_mirror() -> Path | None:
    """Folder that stands in for the public addresses: `LABWM_DATA_MIRROR`."""
    value = os.environ.get("LABWM_DATA_MIRROR")
    return Path(value).resolve() if value else None


def public_url() -> str:
    """Address under which people reach the pages: `LABWM_PUBLIC_URL`."""
    return os.environ.get("LABWM_PUBLIC_URL") or "http://127.0.0.1:8300"


def lab_folder(name: str) -> Path:
    """Folder in which the lab of that name keeps its jobs."""
    return home() / "labs" / name


def cache_folder() -> Path:
    """Folder of what can be computed or fetched again."""
    return home() / "cache"


def shipped(relative: str) -> Path:
    """Return a file or folder that ships with labwm, in a wheel or in a checkout.

    Args:
        relative: For example `protocols/direct_arylation.yaml`.

    Raises:
        UnavailableError: If nothing of that name ships.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (path := root / relative).exists():
            return path
    raise UnavailableError(
        f"Shipped files lie in protocols/ and assay_data/; got {relative!r}, which "
        "this installation lacks. List them with `labwm protocol list`."
    )


def hook_secrets() -> str:
    """Secrets with which labs sign their notices: `LABWM_HOOK_SECRETS`; or nothing."""
    return os.environ.get("LABWM_HOOK_SECRETS", "")
