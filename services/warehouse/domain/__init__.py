"""Pure decisions: which row a record becomes, what a batch was planned to be, what has to be recomputed."""
