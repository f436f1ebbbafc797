"""Labs: one seam, several adapters."""
