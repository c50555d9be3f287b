"""Compares scoring with other systems on the same events: `python benchmarks/scoring.py --help`."""

import sys
from pathlib import Path

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.command import main

if __name__ == "__main__":
    main()
