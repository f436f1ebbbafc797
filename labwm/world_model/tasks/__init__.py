"""The distribution of assay tasks: what many assays say of one that is new."""
