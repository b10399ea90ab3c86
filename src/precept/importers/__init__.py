"""Other tools' training configurations as our recipes, every key accounted for."""

from precept.importers.account import Entry
from precept.importers.translate import PEERS, Imported, import_config

__all__ = ["PEERS", "Entry", "Imported", "import_config"]
