"""The board: what is open, who has it and what became of it, as a web page on which people act."""
