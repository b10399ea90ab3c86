"""Precept: turn a base language model into an instruction-tuned one, and show that it worked."""

import time

__version__ = "0.1.0"

STARTED = time.perf_counter()
"""When this process began to import the package: commands count their seconds from here."""
