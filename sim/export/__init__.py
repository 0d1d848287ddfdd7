"""Finished data sets in other people's formats: one file per format, listed in ``table.py``."""
