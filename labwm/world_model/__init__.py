"""World models: outcomes with calibrated uncertainty, learnt from assay data."""
