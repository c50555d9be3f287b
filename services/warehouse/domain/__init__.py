"""Pure decisions: the rows of a record, the plan of a batch, and what must be recomputed."""
