"""What runs out of a package: leaks, puddles, heaps, stains, and the slack that it leaves."""
