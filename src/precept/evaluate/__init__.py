"""A model's answers to numbers: tasks, metrics, intervals and paired differences."""

from precept.evaluate.choice import Choice, Chooser
from precept.evaluate.items import Item, items_from_rows
from precept.evaluate.run import ItemResult, by_task, evaluate, summarize, write_items
from precept.evaluate.task import Task, family_for, load_task

__all__ = [
    "Choice",
    "Chooser",
    "Item",
    "ItemResult",
    "Task",
    "by_task",
    "evaluate",
    "family_for",
    "items_from_rows",
    "load_task",
    "summarize",
    "write_items",
]
