"""What can be asked: membership, exact counts, lazy generators, columnar questions."""
