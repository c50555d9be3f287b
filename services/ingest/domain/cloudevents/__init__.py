"""How CloudEvents are carried: content modes and their traps."""
