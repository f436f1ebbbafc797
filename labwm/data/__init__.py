"""Assay data: read, check, curate, keep; the catalogue of public sets; protocols.

Importing this room loads neither pandas, xarray, zarr nor RDKit.
"""
