"""The rules of scoring: facts that merge, a bounded memory, and rows that are a pure function of both."""
