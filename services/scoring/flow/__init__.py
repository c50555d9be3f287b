"""How scoring uses Faust: at least once, the state is the truth, contiguous delivery, acknowledged phase by phase."""
