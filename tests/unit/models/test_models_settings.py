import pytest
from pydantic import ValidationError

from precept.models.settings import ModelSettings


def test_defaults_train_every_weight() -> None:
    settings = ModelSettings()
    assert settings.adapter == "none"
    assert (settings.lora_r, settings.lora_alpha, settings.lora_dropout) == (16, 32, 0.0)
    assert settings.lora_target_modules == "all-linear"


def test_module_names_are_read_from_the_command_line_form() -> None:
    assert ModelSettings(lora_target_modules="q_proj, v_proj").lora_target_modules == ("q_proj", "v_proj")
    assert ModelSettings(lora_target_modules=["q_proj"]).lora_target_modules == ("q_proj",)
    assert ModelSettings(lora_target_modules="all-linear").lora_target_modules == "all-linear"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lora_r", 0),
        ("lora_alpha", 0),
        ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")),
        ("lora_dropout", 1.0),
        ("lora_dropout", -0.1),
        ("lora_target_modules", ""),
        ("adapter", "prefix"),
        ("dtype", "float16"),
        ("save_dtype", "int8"),
        ("loraR", 8),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        ModelSettings(**{key: value})
