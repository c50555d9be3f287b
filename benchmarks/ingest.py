"""Compares the gateway with a bare producer of the same bytes: `python benchmarks/ingest.py --help`."""

import sys
from pathlib import Path

# Run as a file, Python looks for modules beside it, not where `benchmarks`, `deploy` and `services` are.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import attack, gateway_speed

if __name__ == "__main__":
    if "--attack" in sys.argv:
        attack.main()
    gateway_speed.main()
