"""Adapters (contract C7): one file per layout of others, from a folder to captures; ``table.py`` lists them."""
