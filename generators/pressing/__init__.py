"""The plastic shell solver, and the tools that press it."""
