"""Precept: turn a base language model into an instruction-tuned one, and show that it worked."""

import os
import time

__version__ = "0.1.0"

STARTED = time.perf_counter()
"""When this process began to import the package: commands count their seconds from here."""

# Read when torch is first imported. oneDNN keeps a kernel of some MB for each size of matrix that it met, and forests
# come in many sizes: with its own bound of 1,024 a bfloat16 run on a processor grows by gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
