"""Each reason for which another tool's file is not translated, by its smallest text."""

from __future__ import annotations

import pytest

from precept.errors import InputError
from precept.importers import import_config

# code: the text of the file
CONFIGS: dict[str, str] = {
    "config-shape": "- a",
    "config-unknown": "colour: red",
    "config-yaml": "a: [",
    "model-kind-not-ours": "stage: sft\nmodel_name_or_path: llava-7b",
    "stage-not-ours": "stage: rm\nmodel_name_or_path: m",
}


@pytest.mark.parametrize("code", CONFIGS)
def test_the_file_is_refused_by_its_code(code: str) -> None:
    with pytest.raises(InputError) as refused:
        import_config(CONFIGS[code], where="theirs.yaml", name="ours", tool=None, refuses=lambda settings: None)
    assert refused.value.code == code and refused.value.do
