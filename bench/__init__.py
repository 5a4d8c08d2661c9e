"""Benchmarks: one file per measure, each against a peer and the bare limit of the machine. `make bench` runs them.

A number without a neighbour says little on a machine that others use too, so every measure runs all its contestants in
turns, in processes of their own, and prints ratios. No test asserts a time.
"""
