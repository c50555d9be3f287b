"""The scoring core before the snapshots, for as long as the two are compared."""
