"""Laboratories behind one seam: computed, replayed, virtual and real."""
