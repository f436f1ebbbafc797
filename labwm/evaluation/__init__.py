"""Back-tests, scores, plots and reports: how good the models and policies are."""
