"""Drawn answers: which token a number stands for, and a random stream of each answer's own."""

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_tokenizer
from tests.unit.decode.test_decode_shared import PROMPTS, shared

from precept.decode.padded import PaddedSampler
from precept.decode.sampling import Sampling, draw_tokens

TOKENIZER = tiny_tokenizer()
LOGITS = torch.tensor([0.3, 0.5, 0.2]).log()  # by likelihood: token 1, 0, 2


def drawn(uniform, **options):
    logits = LOGITS.expand(len(uniform), 3)
    return draw_tokens(logits, torch.tensor(uniform), **{"temperature": 1.0, "top_p": 1.0} | options).tolist()


def padded(model):
    return PaddedSampler(model, TOKENIZER, stop_ids=[2], max_context=128)


def test_a_number_stands_for_the_token_at_which_the_cumulated_probability_passes_it():
    assert drawn([0.0, 0.49, 0.51, 0.79, 0.81, 0.999]) == [1, 1, 0, 0, 2, 2]


def test_top_p_draws_from_the_smallest_set_that_reaches_it():
    # 0.5 and 0.3 reach 0.6: of their 0.8, token 1 has the first 0.625.
    assert drawn([0.0, 0.62, 0.63, 0.999], top_p=0.6) == [1, 1, 0, 0]
    assert drawn([0.0, 0.5, 0.999], top_p=0.0) == [1, 1, 1]


def test_temperature_sharpens_or_flattens():
    # At temperature 1/2 the probabilities are 0.25, 0.09 and 0.04 of 0.38: 0.658, 0.237, 0.105.
    assert drawn([0.65, 0.67, 0.89, 0.9], temperature=0.5) == [1, 0, 0, 2]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_samples_are_the_same_with_shared_prompts_and_with_padded_ones(family):
    model = tiny_model(family)
    sampling = Sampling(num_return_sequences=3, temperature=0.8, top_p=0.9, seed=5)
    ours = shared(model).sample(PROMPTS, sampling, max_new_tokens=10)
    assert ours == padded(model).sample(PROMPTS, sampling, max_new_tokens=10)
    assert len({one.ids for answers in ours for one in answers}) > len(PROMPTS)
    assert [len(answers) for answers in ours] == [3] * len(PROMPTS)


def test_a_sample_depends_on_its_prompt_its_number_and_the_seed_alone():
    sampler = shared(tiny_model("llama"))
    many = sampler.sample(PROMPTS, Sampling(num_return_sequences=4, seed=1), max_new_tokens=8)
    few = sampler.sample(PROMPTS[:2], Sampling(num_return_sequences=2, seed=1), max_new_tokens=8)
    assert few == [answers[:2] for answers in many[:2]]
    other = sampler.sample(PROMPTS[:2], Sampling(num_return_sequences=2, seed=2), max_new_tokens=8)
    assert other != few


def test_a_refused_prompt_shifts_no_other_prompt_s_stream():
    sampler = shared(tiny_model("llama"), max_context=60)
    whole = sampler.sample([PROMPTS[1], PROMPTS[4]], Sampling(seed=3), max_new_tokens=8)
    long = np.full(60, 9, np.int32)
    mixed = sampler.sample([long, PROMPTS[4]], Sampling(seed=3), max_new_tokens=8)
    assert mixed[0][0].refused
    assert mixed[1] == whole[1]


def test_each_prompt_may_have_its_own_bound_on_samples():
    sampler = shared(tiny_model("llama"), stop_ids=[])
    answers = sampler.sample(PROMPTS[:2], Sampling(num_return_sequences=2), max_new_tokens=[3, 7])
    assert [[len(one.ids) for one in group] for group in answers] == [[3, 3], [7, 7]]
