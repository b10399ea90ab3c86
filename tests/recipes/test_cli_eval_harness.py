"""Exported tasks give in lm-evaluation-harness the outputs and scores of ``precept eval``, with our model and theirs.

Needs the extra ``lm-eval``; skips without it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.command_line import precept, write_rows
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.errors import InputError

pytest.importorskip("lm_eval", reason="needs the extra lm-eval")
pytestmark = pytest.mark.filterwarnings("ignore")  # the harness's own

PROMPT = "canary\n-----\nAdd.\n\n" + "\n\n".join(
    f"Q: {n} + 1?\nA: Let's think step by step.\nWe add. So the answer is {n + 1}." for n in range(3)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama without a chat template."""
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "base", max_position_embeddings=1024)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the formats of MMLU, BBH and GSM8K; ``fit`` makes some of the generated answers right."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("dev", 5), ("test", 24)):
        lines = [f"What is {n} + {n}?,{2 * n},{n},{n + 1},{n + 7},{'ABCD'[n % 4]}" for n in range(9, 9 + count)]
        (folder / f"anatomy_{split}.csv").write_text("\n".join(lines) + "\n")
    (folder / "sums.txt").write_text(PROMPT)
    examples = [{"input": f"{n} + 1?", "target": f"{n + 1}"} for n in range(12)]
    (folder / "sums.json").write_text(json.dumps({"examples": examples}))
    rows = [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}.\n#### {n + 1}"} for n in range(14)]
    write_rows(folder / "problems.jsonl", rows)
    tasks = {
        "mmlu": "family: mmlu\ndata: anatomy_test.csv\nexamples: anatomy_dev.csv\n",
        "bbh": "family: bbh_few_shot\ndata: sums.json\nexamples: sums.txt\nmax_new_tokens: 12\n",
        "bbh_cot": "family: bbh_cot_few_shot\ndata: sums.json\nexamples: sums.txt\nmax_new_tokens: 24\n",
        "gsm8k": "family: gsm8k\ndata: problems.jsonl\nshots: 2\nmax_new_tokens: 24\n",
    }
    for name, text in tasks.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def ours(model: Path, task: Path, output: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    ended = precept("eval", "--model", model, "--task", task, "-o", output, "--json", "--fresh")
    assert ended.code == 0, ended.err
    (name,) = ended.json["item_files"]
    return ended.json["overall"], [json.loads(line) for line in (output / name).read_text().splitlines()]


def fit(data: Path, name: str, items: list[dict[str, Any]]) -> None:
    """Make what the model wrote for every third item its right answer, so that scores are not all zero."""
    file = data / "sums.json"
    document = json.loads(file.read_text())
    for example, item in list(zip(document["examples"], items, strict=True))[::3]:
        example["target"] = item["extracted"] or "none"
    file.write_text(json.dumps(document))


def theirs(model: Any, exported: Path, task: str) -> dict[str, Any]:
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(exported), include_defaults=False)
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model=model, tasks=[task], task_manager=manager, log_samples=True, bootstrap_iters=0
    )
    return found


@pytest.mark.parametrize("name", ["mmlu", "bbh", "bbh_cot", "gsm8k"])
def test_the_harness_gives_the_same_accuracies_on_the_same_items(
    model: Path, data: Path, tmp_path: Path, name: str
) -> None:
    from precept.run.eval.lm_eval import PreceptLM

    task = data / f"{name}.yaml"
    if name.startswith("bbh"):
        fit(data, name, ours(model, task, tmp_path / "first")[1])
    overall, items = ours(model, task, tmp_path / "ours")
    exported = precept("eval", "--export-task", task, "--to", "lm-eval", "-o", tmp_path / "exported", "--json").json
    result = theirs(PreceptLM(str(model)), tmp_path / "exported", exported["task"])
    scores = result["results"][exported["task"]]
    samples = sorted(result["samples"][exported["task"]], key=lambda sample: sample["doc_id"])
    assert [sample["doc"]["prompt"] for sample in samples] == [item["prompt"] for item in items]
    for metric, score in overall.items():
        assert scores[f"{metric},none"] == pytest.approx(score["value"])
    if name == "mmlu":
        assert 0 < overall["accuracy"]["value"] < 1
        for sample, item in zip(samples, items, strict=True):
            logps = [float(answer[0]) for answer in sample["filtered_resps"]]
            assert logps == pytest.approx(list(item["option_logps"].values()), rel=1e-2)
    else:
        outputs = [sample["resps"][0][0] for sample in samples]
        assert outputs == [item["output"] for item in items]
    if name == "bbh":
        assert 0 < overall["exact_match"]["value"] < 1


def written(folder: Path, name: str, keys: dict[str, Any]) -> Path:
    """A task file of the harness."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(json.dumps(keys))
    return folder


def stock(name: str) -> str:
    """One of the harness's own files."""
    import lm_eval

    return str(Path(lm_eval.__file__).parent / "tasks" / name)


def test_the_harness_asks_mmlu_by_its_own_file_and_through_transformers_as_we_do(
    model: Path, data: Path, tmp_path: Path
) -> None:
    from lm_eval.models.huggingface import HFLM

    overall, items = ours(model, data / "mmlu.yaml", tmp_path / "ours")
    files = {}
    for split in ("dev", "test"):
        lines = [line.split(",") for line in (data / f"anatomy_{split}.csv").read_text().splitlines()]
        rows = [{"question": c[0], "choices": c[1:5], "answer": "ABCD".index(c[5])} for c in lines]
        files[split] = str(write_rows(tmp_path / f"{split}.jsonl", rows))
    about = "The following are multiple choice questions (with answers) about anatomy.\n\n"
    keys = {"include": stock("mmlu/default/_default_template_yaml"), "task": "own_mmlu", "description": about}
    keys |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}, "num_fewshot": 5}
    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=4)
    result = theirs(lm, written(tmp_path / "own", "own_mmlu", keys), "own_mmlu")
    samples = sorted(result["samples"]["own_mmlu"], key=lambda sample: sample["doc_id"])
    near_ties = 0
    for sample, item in zip(samples, items, strict=True):
        assert sample["arguments"][0][0] == item["prompt"]
        logps = sorted(item["option_logps"].values())
        near_ties += logps[-1] - logps[-2] < 0.02  # another precision may choose the other option
        assert [float(answer[0]) for answer in sample["filtered_resps"]] == pytest.approx(
            list(item["option_logps"].values()), rel=1e-2
        )
    difference = abs(result["results"]["own_mmlu"]["acc,none"] - overall["accuracy"]["value"])
    assert difference <= near_ties / len(items) + 1e-9


def test_the_harness_asks_gsm8k_by_its_own_file_as_we_do(model: Path, data: Path, tmp_path: Path) -> None:
    from precept.run.eval.lm_eval import PreceptLM

    task = data / "solved.yaml"
    task.write_text("family: gsm8k\ndata: problems.jsonl\nexamples: problems.jsonl\nshots: 2\nmax_new_tokens: 24\n")
    overall, items = ours(model, task, tmp_path / "ours")
    path = str(data / "problems.jsonl")
    keys = {"include": stock("gsm8k/gsm8k.yaml"), "task": "own_gsm8k", "num_fewshot": 2, "tag": None}
    keys |= {"dataset_path": "json", "dataset_name": None, "fewshot_config": {"sampler": "first_n"}}
    keys |= {"dataset_kwargs": {"data_files": {"train": path, "test": path}}}
    keys["generation_kwargs"] = {"until": ["Question:", "</s>", "<|im_end|>"], "do_sample": False, "max_gen_toks": 24}
    result = theirs(PreceptLM(str(model)), written(tmp_path / "own", "own_gsm8k", keys), "own_gsm8k")
    samples = {sample["doc_id"]: sample for sample in result["samples"]["own_gsm8k"]}
    # The harness leaves a document out of its own examples; ours shows the same two before each.
    for number, item in list(enumerate(items))[2:]:
        assert samples[number]["arguments"][0][0] == item["prompt"]
        assert samples[number]["resps"][0][0] == item["output"]
    scores = result["results"]["own_gsm8k"]
    assert scores["exact_match,strict-match"] == overall["exact_match"]["value"]


def test_real_files_give_the_same_outputs_in_both(shared_data: Path, tmp_path: Path) -> None:
    from precept.run.eval.lm_eval import PreceptLM

    large = tiny_model_folder(tmp_path / "large", max_position_embeddings=8192)
    bbh, gsm8k = shared_data / "bbh", shared_data / "gsm8k"
    tasks = {
        "dates": f"family: bbh_few_shot\ndata: {bbh}/date_understanding.json#6\n"
        f"examples: {bbh}/cot-prompts/date_understanding.txt\nmax_new_tokens: 8\n",
        "steps": f"family: bbh_cot_few_shot\ndata: {bbh}/navigate.json#6\n"
        f"examples: {bbh}/cot-prompts/navigate.txt\nmax_new_tokens: 8\n",
        "maths": f"family: gsm8k\ndata: {gsm8k}/test.jsonl#6\nexamples: {gsm8k}/train.jsonl\nmax_new_tokens: 8\n",
    }
    for name, text in tasks.items():
        (tmp_path / f"{name}.yaml").write_text(text)
        overall, items = ours(large, tmp_path / f"{name}.yaml", tmp_path / name)
        exported = precept(
            "eval", "--export-task", tmp_path / f"{name}.yaml", "-o", tmp_path / "exported", "--json"
        ).json
        result = theirs(PreceptLM(str(large)), tmp_path / "exported", exported["task"])
        samples = sorted(result["samples"][exported["task"]], key=lambda sample: sample["doc_id"])
        assert [sample["resps"][0][0] for sample in samples] == [item["output"] for item in items]
        assert result["results"][exported["task"]]["exact_match,none"] == overall["exact_match"]["value"]


def test_the_harness_reads_the_same_log_likelihoods_from_transformers_itself(model: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from precept.run.eval.lm_eval import PreceptLM

    pairs = [("The answer is", " forty two"), ("The answer is", " six"), ("Name a colour:", " red"), ("", "user")]
    requests = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    own, other = PreceptLM(str(model)), HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=2)
    for (logp, greedy), (expected, expected_greedy) in zip(
        own.loglikelihood(requests), other.loglikelihood(requests), strict=True
    ):
        assert logp == pytest.approx(expected, rel=1e-2) and greedy == expected_greedy
    texts = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in ("The answer is forty two.", "a " * 1500)]
    found, expected_sums = own.loglikelihood_rolling(texts), other.loglikelihood_rolling(texts)
    assert found == pytest.approx(expected_sums, rel=1e-2)


def test_a_greedy_continuation_is_told_as_one(model: Path) -> None:
    from lm_eval.api.instance import Instance

    from precept.run.eval.lm_eval import PreceptLM

    own = PreceptLM(str(model))
    (written,) = own.generate_until([Instance("generate_until", {}, ("The answer is", {"max_gen_toks": 3}), 0)])
    ids = own._scores.plain.encode("The answer is")
    with torch.no_grad():
        likeliest = own._scores.model.loaded.model(torch.as_tensor(ids)[None].long()).logits[0, -1].argmax()
    assert written.startswith(own._scores.model.loaded.tokenizer.decode([int(likeliest)]))
    pairs = [("The answer is", written), ("The answer is", written + "x")]
    found = own.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs])
    assert all(math.isfinite(logp) for logp, _ in found) and not found[1][1]


def test_what_the_adapter_does_not_follow_is_refused(model: Path, tmp_path: Path) -> None:
    from lm_eval.api.instance import Instance

    from precept.run.eval.lm_eval import PreceptLM

    own = PreceptLM(str(model))
    cases = {
        "generation-setting": lambda: own.generate_until(
            [Instance("generate_until", {}, ("a", {"until": ["\n"], "num_beams": 4}), 0)]
        ),
        "harness-chat": lambda: own.apply_chat_template([{"role": "user", "content": "a"}]),
        "harness-needs-decoder": lambda: PreceptLM(str(tiny_model_folder(tmp_path / "t5", "t5"))),
    }
    for code, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == code and caught.value.do


def test_conversations_come_out_of_the_models_template(tmp_path: Path) -> None:
    from precept.run.eval.lm_eval import PreceptLM

    own = PreceptLM(str(tiny_model_folder(tmp_path / "chat", tokenizer=tiny_tokenizer(chat_template=CHATML))))
    text = own.apply_chat_template([{"role": "user", "content": "Why?"}])
    assert text == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    assert own.chat_template() == CHATML and own._scores.plain.encoder.ids(text)[0] == 3  # <|im_start|>
