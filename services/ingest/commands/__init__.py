"""What operators type: tokens, programmes, quarantine, trials, erasures."""
