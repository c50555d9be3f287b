"""How the parts of the process are put together: one module per way in."""
