"""How good the risk is: cases from the past, the model and simpler rules side by side, with intervals over pairs."""
