"""labwm: a world model of the lab, between agents and the real one."""

__version__ = "0.1.0"
