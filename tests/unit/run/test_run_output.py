"""The output folder: locked, claimed, compared, never overwritten in silence."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from precept.errors import InputError
from precept.run.output import open_output, read_manifest, stored_result

MANIFEST = {"method": "sft", "data_hash": "abc", "with": {"seed": 1, "learning_rate": 0.1}}


def claim(folder: Path, **changes: object) -> None:
    manifest = {**MANIFEST, "with": {**MANIFEST["with"], **changes}}  # type: ignore[dict-item]
    with open_output(folder, manifest) as out:
        out.claim(manifest)


def test_a_new_folder_is_claimed_and_opened_again(tmp_path: Path) -> None:
    claim(tmp_path / "out")
    with open_output(tmp_path / "out", MANIFEST) as out:
        assert out.stored == MANIFEST


def test_a_completed_run_gives_its_result_and_writes_nothing(tmp_path: Path) -> None:
    claim(tmp_path)
    assert stored_result(tmp_path, MANIFEST) is None
    with open_output(tmp_path, MANIFEST) as out:
        out.complete({"steps": 3})
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert stored_result(tmp_path, MANIFEST) == {"steps": 3}
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert stored_result(tmp_path, {**MANIFEST, "data_hash": "other"}) is None


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    claim(tmp_path)
    with pytest.raises(InputError) as caught:
        claim(tmp_path, seed=2)
    assert caught.value.found == "seed: 1 -> 2"
    assert "--fresh" in str(caught.value) and "--allow-changed" in str(caught.value)


def test_fresh_removes_an_earlier_run_of_ours(tmp_path: Path) -> None:
    claim(tmp_path)
    (tmp_path / "checkpoint-1").mkdir()
    other = {**MANIFEST, "data_hash": "other"}
    with open_output(tmp_path, other, fresh=True) as out:
        assert out.stored is None
        assert (tmp_path / "checkpoint-1").exists()  # nothing is lost until the new run is known to be sound
        out.claim(other)
    assert not (tmp_path / "checkpoint-1").exists()
    assert read_manifest(tmp_path) == other


def test_a_completed_run_is_not_gone_on_from_with_other_data(tmp_path: Path) -> None:
    with open_output(tmp_path, MANIFEST) as out:
        out.claim(MANIFEST)
        out.complete({"steps": 3})
    other = {**MANIFEST, "data_hash": "other"}
    with pytest.raises(InputError, match="completed run"), open_output(tmp_path, other, allow_changed=True):
        pass
    assert stored_result(tmp_path, MANIFEST) == {"steps": 3}


def test_an_unfinished_run_goes_on_with_changed_settings_when_asked(tmp_path: Path) -> None:
    claim(tmp_path)
    other = {**MANIFEST, "data_hash": "other"}
    with open_output(tmp_path, other, allow_changed=True) as out:
        assert out.stored == MANIFEST


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(InputError, match="not empty"), open_output(tmp_path, MANIFEST, fresh=fresh):
            pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"), open_output(tmp_path / "out", MANIFEST):
        pass


def _try(folder: Path, queue: multiprocessing.Queue[str]) -> None:
    try:
        with open_output(folder, MANIFEST):
            queue.put("opened")
    except InputError as error:
        queue.put(error.code)


def test_a_folder_in_use_by_a_live_process_is_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[str] = context.Queue()
    with open_output(tmp_path, MANIFEST):
        process = context.Process(target=_try, args=(tmp_path, queue))
        process.start()
        assert queue.get(timeout=60) == "output-in-use"
        process.join()


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    claim(tmp_path)
    (tmp_path / "run.yaml").write_text("a: [1,\n")
    with pytest.raises(InputError, match="manifest is damaged"), open_output(tmp_path, MANIFEST):
        pass
