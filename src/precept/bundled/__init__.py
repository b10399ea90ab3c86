"""The bundled closed world: its facts, a corpus to pretrain on, a tokenizer and instruction tasks, all from a seed."""

from precept.bundled.corpus import documents, write_replay
from precept.bundled.tasks import Tasks, build_tasks, write_tasks
from precept.bundled.world import Fact, Thing, World, build_world

__all__ = [
    "Fact",
    "Tasks",
    "Thing",
    "World",
    "build_tasks",
    "build_world",
    "documents",
    "write_replay",
    "write_tasks",
]
