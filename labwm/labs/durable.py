"""Files and folders that appear whole or not at all, whatever is killed when.

On one host and a local disk: `rename` and `link` are atomic there, and `fsync` of the
folder makes the new name survive a power cut.
"""

import errno
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

STAGED = ".staged-"
"""Prefix of files and folders that have no final name yet."""
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}


def claim_folder(path: Path, files: Mapping[str, bytes]) -> bool:
    """Make a folder with these files; of several that try, one gets the name.

    Returns:
        False if the name was taken; the folder that has it is left as it is.
    """
    staged = path.parent / f"{STAGED}{uuid4().hex}"
    staged.mkdir()
    try:
        for name, content in files.items():
            _write(staged / name, content)
        sync_folder(staged)
        # Onto a folder that is not empty, rename fails: this decides duplicates.
        os.rename(staged, path)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        if error.errno not in _TAKEN:
            raise
        is_new = False
    else:
        is_new = True
    # Also for the loser: it answers for a name that its winner may not have synced.
    sync_folder(path.parent)
    return is_new


def publish(path: Path, content: bytes) -> bool:
    """Write a file under a name that is never written again.

    Returns:
        False if the name was taken; the file that has it is left as it is.
    """
    staged = path.parent / f"{STAGED}{uuid4().hex}"
    try:
        _write(staged, content)
        # A link refuses a taken name; a rename would silently replace.
        os.link(staged, path)
    except FileExistsError:
        return False
    finally:
        staged.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def sweep(folder: Path, *, older_than: float) -> None:
    """Remove what killed writers left staged, `older_than` seconds ago or before."""
    for left in folder.glob(f"{STAGED}*"):
        try:
            if time.time() - left.stat().st_mtime < older_than:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
        except FileNotFoundError:
            continue  # its writer was alive and finished


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
