"""Which experiments to run next: policies over pools behind one seam."""
