"""World models: what the lab would say, with uncertainty that holds.

The contract is `labwm.world_model.contract`; importing it loads no torch.
"""

from typing import TYPE_CHECKING

from labwm.world_model.contract import World, WorldModel

if TYPE_CHECKING:
    from labwm.world_model.fitting import fit
    from labwm.world_model.gaussian_process import GaussianProcessModel
    from labwm.world_model.saving import load_model, save_model
    from labwm.world_model.surrogate import Surrogate

__all__ = [
    "GaussianProcessModel",
    "Surrogate",
    "World",
    "WorldModel",
    "fit",
    "load_model",
    "save_model",
]

_HEAVY = {
    "fit": "fitting",
    "GaussianProcessModel": "gaussian_process",
    "Surrogate": "surrogate",
    "load_model": "saving",
    "save_model": "saving",
}


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first named."""
    from importlib import import_module

    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
