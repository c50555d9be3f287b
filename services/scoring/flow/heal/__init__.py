"""Heal: rows that the bounded memory could not tell, from the whole log."""
