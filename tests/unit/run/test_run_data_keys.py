"""Keys of data steps: what null means for a setting of the maker."""

from __future__ import annotations

from precept.records.instructions.flan_collection import FlanCollectionSettings
from precept.run.data.makers import MAKERS
from precept.run.data.steps import parse_keys


def test_null_leaves_a_setting_that_takes_no_null_at_its_default() -> None:
    given = {"data": "tasks", "tokenizer": None, "without": None, "exemplar_tokens": None, "rows": None}
    keys, settings = parse_keys(MAKERS["flan_collection"], given, lambda key: None)
    assert keys.tokenizer is None
    assert settings == FlanCollectionSettings()


def test_a_setting_that_takes_null_gets_it() -> None:
    given = {"data": "rows", "templates": "templates.yaml", "max_field_characters": None}
    _, settings = parse_keys(MAKERS["promptsource"], given, lambda key: None)
    assert settings.model_dump()["max_field_characters"] is None  # no limit; by default it is 2,048 characters
