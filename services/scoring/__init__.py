"""Events to scores: health and risk of every relationship, as a pure function of its facts, in stream processors."""
