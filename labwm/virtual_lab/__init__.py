"""The virtual lab and the environments: two thin shells over one world.

Importing this room registers its environments with Gymnasium.
"""

import gymnasium

from labwm.virtual_lab.lab import build_virtual_lab

__all__ = ["CAMPAIGN", "KINETICS", "build_virtual_lab", "register"]

CAMPAIGN = "labwm/Campaign-v0"
KINETICS = "labwm/Kinetics-v0"


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


register()
