"""The design room: which experiments are worth it, and why."""
