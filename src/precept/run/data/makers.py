"""All methods of data steps: those of the records room, and those that need another room too."""

from __future__ import annotations

from collections.abc import Mapping

from precept.records.instructions import MAKERS as OF_RECORDS
from precept.records.instructions import Maker

_HERE = (
    Maker(
        "reframing", "task instructions reframed by rules or a teacher", "ReframingSettings", package="precept.run.data"
    ),
    Maker(
        "worded_tasks",
        "tasks of the bundled world in their wordings: so many tasks, categories, wordings, with reasons or without",
        "WordedTasksSettings",
        package="precept.run.data",
    ),
    Maker("answers", "a model's own answers to the prompts of rows", "AnswersSettings", package="precept.run.data"),
)

MAKERS: Mapping[str, Maker] = {**OF_RECORDS, **{maker.name: maker for maker in _HERE}}
"""Name of a method -> its maker."""
