"""Flat keys: every one belongs to one class, unknown ones get a suggestion, nothing is corrected in silence."""

from __future__ import annotations

import pytest

from precept.errors import InputError
from precept.run.settings import CLASSES, parse_settings, parse_words


def test_words_may_be_written_in_three_ways() -> None:
    words = ["learning_rate=1e-4", "--max-steps", "10", "--adapter=lora"]
    settings = parse_settings(parse_words(words))
    assert settings.optimizer.learning_rate == 1e-4
    assert settings.loop.max_steps == 10
    assert settings.model.adapter == "lora"


def test_words_that_yaml_takes_for_booleans_or_dates_keep_their_meaning() -> None:
    settings = parse_settings(parse_words(["sharing=on", "template_date=2026-02-03"]))
    assert settings.model.sharing == "on"
    assert settings.render.template_date == "2026-02-03"
    assert parse_settings(parse_words(["sharing=off"])).model.sharing == "off"


def test_no_key_belongs_to_two_classes() -> None:
    keys = [key for cls in CLASSES.values() for key in cls.model_fields]
    assert len(keys) == len(set(keys))


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        parse_settings({"learning_rat": 1})
    assert caught.value.exit_code == 2
    assert caught.value.do == "did you mean 'learning_rate'?"


@pytest.mark.parametrize(
    "pairs",
    [
        {"learning_rate": -1},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"batch_size": 0},
        {"batch_size": "many"},
        {"batch_size": True},
        {"learning_rate": True},
        {"max_tokens_per_forest": False},
        {"max_steps": 1.5},
        {"lora_r": 0},
        {"over_length": "truncate"},
        {"prompt_weight": -0.5},
        {"warmup_ratio": 2},
        {"early_stopping_patience": 2},
        {"group_by_prefix": 1},
        {"group_by_prefix": 6, "batch_size": 64},
    ],
    ids=lambda pairs: "=".join(str(x) for x in next(iter(pairs.items()))),
)
def test_a_value_that_does_not_fit_is_refused(pairs: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        parse_settings(pairs)
    assert caught.value.code == "bad-value"


def test_the_pair_of_keys_that_trl_has_is_accepted_as_its_product() -> None:
    pairs = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}
    assert parse_settings(pairs).loop.batch_size == 32
    with pytest.raises(InputError, match="both set"):
        parse_settings({**pairs, "batch_size": 64})


def test_data_may_be_named_several_times() -> None:
    assert parse_settings(parse_words(["eval_data=a.jsonl", "eval_data=b.jsonl"])).data.eval_data == (
        "a.jsonl",
        "b.jsonl",
    )


def test_a_key_set_twice_is_refused() -> None:
    with pytest.raises(InputError, match="set twice"):
        parse_words(["seed=1", "seed=2"])


def test_a_word_that_is_no_setting_is_refused() -> None:
    with pytest.raises(InputError, match="not a setting"):
        parse_words(["fast"])
