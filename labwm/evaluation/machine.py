"""What a figure depends on besides the data: memory used and the code that ran."""

import functools
import hashlib
import resource
import sys
from pathlib import Path

import labwm


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in 10**6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


@functools.cache
def labwm_sha256() -> str:
    """Return a digest of labwm's own source: the same code gives the same campaigns."""
    root = Path(labwm.__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(path.read_bytes())
    return total.hexdigest()
