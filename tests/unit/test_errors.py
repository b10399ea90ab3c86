from precept.errors import InputError, MissingExtra, WorkError


def test_an_error_says_where_what_found_and_do() -> None:
    error = InputError(
        "'learning_rat' is not a key",
        code="unknown-key",
        where="sft.yaml line 4",
        found="learning_rat: 1",
        do="did you mean 'learning_rate'?",
    )
    assert str(error).splitlines() == [
        "sft.yaml line 4: 'learning_rat' is not a key",
        "  found: learning_rat: 1",
        "  do: did you mean 'learning_rate'?",
    ]


def test_exit_codes_tell_input_from_work() -> None:
    assert InputError("x", code="x").exit_code == 2
    assert WorkError("x", code="x").exit_code == 1
    assert MissingExtra("zstandard", "data", wanted_for="reading .zst").exit_code == 2
