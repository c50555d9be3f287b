"""The tables that can be imported: one file per kind, each a pure function from a row to what it says."""
