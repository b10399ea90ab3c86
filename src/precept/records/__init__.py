"""Files -> rows. Readers know one source format each; the format is chosen by looking at all rows of a file."""

from precept.records.by_hash import data_hash, split
from precept.records.fingerprint import normal_text, text_digest
from precept.records.load import FileReport, Loaded, describe, load
from precept.records.write import FORMATS, write

__all__ = [
    "FORMATS",
    "FileReport",
    "Loaded",
    "data_hash",
    "describe",
    "load",
    "normal_text",
    "split",
    "text_digest",
    "write",
]
