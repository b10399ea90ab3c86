"""Mixtures: shares, whole rows, the even spread, and the maker with its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.records.instructions.mixture import MixtureSettings, build
from precept.records.mixture import Mixture, MixtureSource, counts_for, mixing_shares, most_without_repeats


def test_rows_above_the_cap_add_no_weight() -> None:
    # the golden value of FLAN's mixing: 1,000, 3,000 and 30,000 rows with a cap of 3,000 are 1/7, 3/7, 3/7
    sizes = [1000, 3000, 30000]
    capped = mixing_shares(sizes, caps=[3000, 3000, 3000])
    assert capped == pytest.approx([1 / 7, 3 / 7, 3 / 7])
    assert mixing_shares(sizes) == pytest.approx([1 / 34, 3 / 34, 30 / 34])
    assert most_without_repeats(sizes, capped) == 7000  # all of the first two, 3,000 of the third
    assert most_without_repeats([1, 1], [0.4, 0.6]) == 1  # 1 / 0.6 cut down, though counts_for makes 1 and 1 of 2


def test_a_temperature_makes_shares_more_alike() -> None:
    # square roots of 1, 4 and 25: 1/8, 2/8, 5/8
    assert mixing_shares([1, 4, 25], temperature=2) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert mixing_shares([9, 1], weights=[1, 3]) == pytest.approx([0.25, 0.75])
    assert mixing_shares([1000, 2000], temperature=0.001) == pytest.approx([0, 1])  # 2000 ** 1000 has no float


def test_counts_are_whole_and_add_up() -> None:
    # quotas 3.33 each: the remainder goes to the first
    assert counts_for([1 / 3, 1 / 3, 1 / 3], 10) == [4, 3, 3]
    assert counts_for([0.55, 0.45, 0.0], 3) == [2, 1, 0]  # 1.65, 1.35
    assert sum(counts_for(mixing_shares(range(1, 40)), 777)) == 777


def mixture(counts: list[int], *, rows: int = 4, seed: int = 0) -> Mixture:
    return Mixture([MixtureSource(str(n), rows, f"hash {n}") for n in range(len(counts))], counts, seed)


@pytest.mark.parametrize("counts", [[1], [3, 1], [2, 2, 2], [7, 0, 3, 1], [11, 10, 5]])
def test_draws_stand_where_even_spacing_puts_them(counts: list[int]) -> None:
    # draw j of c stands at (2j + 1) / 2c; equal places in the order of the sources
    expected = sorted((Fraction(2 * j + 1, 2 * c), n) for n, c in enumerate(counts) for j in range(c))
    found = mixture(counts)
    assert [found[place].source for place in range(len(found))] == [source for _, source in expected]


def test_every_beginning_has_nearly_the_wanted_shares() -> None:
    found = [mixture([60, 30, 10])[place].source for place in range(100)]
    for length in range(1, 101):
        for source, share in enumerate((0.6, 0.3, 0.1)):
            assert abs(found[:length].count(source) - share * length) <= 1


def test_a_source_is_drawn_without_repeats_until_it_is_used_up() -> None:
    found = mixture([10], rows=4)
    draws = [found[place] for place in range(10)]
    assert [draw.epoch for draw in draws] == [0] * 4 + [1] * 4 + [2] * 2
    assert sorted(draw.row for draw in draws[:4]) == sorted(draw.row for draw in draws[4:8]) == [0, 1, 2, 3]
    assert len({draw.row for draw in draws[8:]}) == 2


def test_row_k_follows_from_seed_hash_and_k_alone() -> None:
    whole = [mixture([30, 12], rows=9)[place] for place in range(42)]
    later = mixture([30, 12], rows=9)  # nothing before row 25 was asked for
    assert [later[place] for place in range(25, 42)] == whole[25:]
    assert [mixture([30, 12], rows=9, seed=1)[place] for place in range(42)] != whole
    alone = Mixture([MixtureSource("renamed", 9, "hash 0")], [30], 0)  # neither name nor company matters
    assert [alone[place].row for place in range(30)] == [draw.row for draw in whole if draw.source == 0]
    with pytest.raises(IndexError):
        later[42]


def write_rows(folder: Path, name: str, count: int, *, task: str | None = None) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"prompt": f"{name} {n}", "completion": f"answer {n}", **({"task": task} if task else {})} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def made(paths: list[str], **keys: Any) -> tuple[list[str], dict[str, Any]]:
    """(file of each row, report) of a mixture."""
    built = build(paths, MixtureSettings(**keys))
    return [Path(row.source.file).name for row in built.train], built.report


def test_by_default_everything_comes_once(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 6), write_rows(tmp_path, "b.jsonl", 3)]
    names, report = made(paths)
    assert (names.count("a.jsonl"), names.count("b.jsonl")) == (6, 3)
    assert report["sources"]["a"] | {"hash": ""} == {
        "rows": 6,
        "drawn": 6,
        "repeats": 0,
        "epochs": 1.0,
        "share_wanted": pytest.approx(2 / 3),
        "share": pytest.approx(2 / 3),
        "hash": "",
    }


def test_weights_and_a_total_repeat_a_small_source(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 6), write_rows(tmp_path / "b", "train.jsonl", 3)]
    names, report = made(paths, weights={"a": 1, "b": 1}, total_rows=16)
    assert (names.count("a.jsonl"), names.count("train.jsonl")) == (8, 8)  # the folder names the second source
    assert [report["sources"][name]["repeats"] for name in "ab"] == [2, 5]
    # without a total the smaller one says where repeats would begin
    assert len(made(paths, weights={"a": 1, "b": 1})[0]) == 6
    assert len(made(paths, weights={"a": 1, "b": 0})[0]) == 6


def test_a_cap_for_one_source(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 40), write_rows(tmp_path, "b.jsonl", 10)]
    names, _ = made(paths, cap={"a": 10}, total_rows=20)
    assert (names.count("a.jsonl"), names.count("b.jsonl")) == (10, 10)


def test_epochs_may_be_parts(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 6), write_rows(tmp_path, "b.jsonl", 4)]
    names, report = made(paths, epochs={"a": 0.5, "b": 2})
    assert (names.count("a.jsonl"), names.count("b.jsonl")) == (3, 8)
    assert report["sources"]["b"]["repeats"] == 4
    assert report["sources"]["b"]["share_wanted"] == pytest.approx(8 / 11)
    assert len(made(paths, epochs=2)[0]) == 20


def test_tasks_may_be_the_sources(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 6, task="x"), write_rows(tmp_path, "b.jsonl", 3, task="x")]
    paths.append(write_rows(tmp_path, "c.jsonl", 2, task="y"))
    _, report = made(paths, sources="task")
    assert {name: entry["rows"] for name, entry in report["sources"].items()} == {"x": 9, "y": 2}


@pytest.mark.parametrize(
    ("keys", "code", "said"),
    [
        ({"weights": {"a": 1}}, "mixture-source-missing", "add b: NUMBER"),
        ({"weights": {"a": 1, "b": 1, "bb": 1}}, "mixture-source-unknown", "did you mean 'b'?"),
        ({"cap": {"zzz": 1}}, "mixture-source-unknown", "the sources are a, b"),
        ({"epochs": {"a": 1}}, "mixture-source-missing", "epochs says nothing of b"),
        ({"weights": {"a": 0, "b": 0}}, "bad-value", "all weights are 0"),
        ({"sources": "task"}, "row-without-task", "sources=file"),
        ({"epochs": 0.1}, "mixture-empty", "0.1"),
    ],
)
def test_keys_that_fit_no_source_are_errors(tmp_path: Path, keys: dict[str, Any], code: str, said: str) -> None:
    paths = [write_rows(tmp_path, "a.jsonl", 2), write_rows(tmp_path, "b.jsonl", 3)]
    with pytest.raises(InputError) as caught:
        made(paths, **keys)
    assert caught.value.code == code and said in str(caught.value)


def test_a_source_has_one_name_and_rows_of_its_own(tmp_path: Path) -> None:
    first, same_name = write_rows(tmp_path, "a.jsonl", 2), write_rows(tmp_path / "x", "a.jsonl", 3)
    copy = str(tmp_path / "copy.jsonl")
    Path(copy).write_bytes(Path(first).read_bytes())
    for paths in ([first, same_name], [first, copy]):
        with pytest.raises(InputError) as caught:
            made(paths)
        assert caught.value.code == "mixture-source-twice"


def test_a_mixture_is_of_one_kind_of_rows(tmp_path: Path) -> None:
    rows = write_rows(tmp_path, "a.jsonl", 2)
    pairs, text = tmp_path / "pairs.jsonl", tmp_path / "plain.txt"
    pairs.write_text(json.dumps({"prompt": "q", "chosen": "a", "rejected": "b"}) + "\n")
    text.write_text("nothing but text")
    for other in (pairs, text):
        with pytest.raises(InputError) as caught:
            made([rows, str(other)])
        assert caught.value.code == "mixture-kinds"
    assert len(build([str(pairs)], MixtureSettings()).train) == 1


def test_rows_that_cannot_be_read_are_handed_on(tmp_path: Path) -> None:
    path = Path(write_rows(tmp_path, "a.jsonl", 2))
    path.write_text(path.read_text() + '{"prompt": "x", "completion": ""}\n')
    built = build([str(path)], MixtureSettings())
    assert (len(built.train), [refusal.row for refusal in built.refused]) == (2, [3])
    path.write_text('{"prompt": "x", "completion": ""}\n')
    with pytest.raises(InputError, match="no row of 'a' can be used") as caught:
        build([str(path)], MixtureSettings())
    assert caught.value.code == "mixture-source-empty" and "empty answer" in str(caught.value)


def test_the_sources_are_counted_once_however_many_rows_are_drawn() -> None:
    looked = 0

    class Counts(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal looked
            looked += 1
            return super().__iter__()

    mixture = Mixture([MixtureSource("a", 2, "a"), MixtureSource("b", 3, "b")], Counts([20, 30]), seed=0)
    assert [len({draw.row for draw in map(mixture.__getitem__, range(50)) if draw.source == n}) for n in (0, 1)] == [
        2,
        3,
    ]
    assert looked < 5
