"""Labs: one seam, several adapters."""

from labwm.labs.folder import FolderLab
from labwm.labs.http import HttpLab
from labwm.labs.instrument import Instrument, Outcome
from labwm.labs.lab import ComputingLab, Lab, Progress
from labwm.labs.registry import (
    Adapter,
    build_lab,
    capabilities_of,
    lab_names,
    origin_of_lab,
)
from labwm.labs.replay import replay_lab
from labwm.labs.spool import SpoolLab
from labwm.labs.xtb import xtb_lab

__all__ = [
    "Adapter",
    "ComputingLab",
    "FolderLab",
    "HttpLab",
    "Instrument",
    "Lab",
    "Outcome",
    "Progress",
    "SpoolLab",
    "build_lab",
    "capabilities_of",
    "lab_names",
    "origin_of_lab",
    "replay_lab",
    "xtb_lab",
]
