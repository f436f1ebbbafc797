"""Scripts that run planners of other packages in an environment of their own."""
