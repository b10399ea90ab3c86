"""Which sampler an opened model generates with."""

import numpy as np
import pytest
import torch
from tests.tiny import CHATML, tiny_model_folder

from precept.decode import PaddedSampler, SharedPrefixSampler
from precept.run.opened import make_chooser, open_model


def opened(path, family, **changes):
    return open_model(str(tiny_model_folder(path, family, chat_template=CHATML, **changes)), chat_template=None)


def test_a_model_with_full_attention_shares_prefixes_with_the_chooser_s_policy(tmp_path):
    model = opened(tmp_path, "llama")
    sampler = model.sampler()
    assert isinstance(sampler, SharedPrefixSampler)
    assert model.chosen is model.chosen
    assert make_chooser(model).policy is model.chosen.policy
    plain = PaddedSampler(model.loaded.model, model.loaded.tokenizer, stop_ids=model.stop_ids, max_context=256)
    prompts = [np.arange(20, 20 + length, dtype=np.int32) for length in (80, 90, 3)]
    expected = plain.generate(prompts, max_new_tokens=9)
    assert model.loaded.model.dtype == model.loaded.compute_dtype == torch.float32
    assert sampler.generate(prompts, max_new_tokens=9) == expected
    assert model.sampler(stop_ids=[7]).stop_ids == {7}


@pytest.mark.parametrize("family", ["mistral", "gemma3", "t5"])
def test_windows_and_encoders_keep_transformers_own_generate(tmp_path, family):
    model = opened(tmp_path, family)
    assert isinstance(model.sampler(), PaddedSampler)
    assert "chosen" not in vars(model)  # nothing was tried for it
