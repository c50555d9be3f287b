"""Whole logs at the speed of the machine: flat arrays, and the kernel compiled by numba (extra `fast`)."""
