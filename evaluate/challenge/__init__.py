"""The challenge: fixed tasks over a rendered data set, tables for those who enter, and a page that ranks entries."""
