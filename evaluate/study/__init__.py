"""The transfer study: what rendered captures are worth on real ones, at equal compute, with intervals."""
