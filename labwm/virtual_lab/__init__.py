"""The virtual lab and the environments: two thin shells over one world.

Importing this room registers its environments with Gymnasium.
"""

import gymnasium

from labwm.virtual_lab.lab import build_virtual_lab

__all__ = [
    "CAMPAIGN",
    "KINETICS",
    "PROCEDURE",
    "PROCEDURE_LAB",
    "build_virtual_lab",
    "register",
]

CAMPAIGN = "labwm/Campaign-v0"
KINETICS = "labwm/Kinetics-v0"
PROCEDURE = "labwm/Procedure-v0"
PROCEDURE_LAB = "labwm/ProcedureLab-v0"
"""The same in the real lab, where costs are measured and differ when repeated."""


def register() -> None:
    """Make the environments known to `gymnasium.make`; again is no harm."""
    if CAMPAIGN not in gymnasium.registry:
        gymnasium.register(
            id=CAMPAIGN,
            entry_point="labwm.virtual_lab.practice:campaign_env",
            vector_entry_point="labwm.virtual_lab.practice:campaign_vector_env",
        )
    if KINETICS not in gymnasium.registry:
        gymnasium.register(
            id=KINETICS,
            entry_point="labwm.virtual_lab.enzyme_kinetics:kinetics_env",
        )
    if PROCEDURE not in gymnasium.registry:
        gymnasium.register(
            id=PROCEDURE,
            entry_point="labwm.virtual_lab.procedure_practice:procedure_env",
        )
    if PROCEDURE_LAB not in gymnasium.registry:
        gymnasium.register(
            id=PROCEDURE_LAB,
            entry_point="labwm.virtual_lab.procedure_practice:procedure_lab_env",
            nondeterministic=True,
        )


register()
