"""Movement: records into tables, derived tables after them, migrations before them."""
