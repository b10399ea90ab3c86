"""The model card of a training run: what it was made from, how, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from precept.run.tuning.training import Run


def model_card(run: Run, result: dict[str, Any]) -> str:
    """Markdown with the front matter that model hubs read. States data hashes, mask policy and token counts."""
    settings, tokens = run.settings, result["tokens"]
    base = str(run.loaded.path)
    licences = sorted({file.licence for file in run.raw.files if file.licence})
    front = {
        "base_model": base,
        "library_name": "transformers" if settings.model.adapter == "none" else "peft",
        "tags": ["precept", run.method],
    }
    files = [f"- `{f.path}`: {f.rows} rows, sha256 `{f.sha256[:16]}`" for f in run.raw.files]
    groups = f", drawn in groups of {k} by prefix" if (k := settings.loop.group_by_prefix) else ""
    evaluation, skipped = result["eval_loss"], settings.proofs.skip_proof
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, sort_keys=False).strip(),
            "---",
            f"# {run.out.folder.name}",
            "",
            f"`{base}` tuned by Precept ({run.method}, adapter: {settings.model.adapter}).",
            "",
            "## Data",
            *files,
            f"- licences named in the files: {', '.join(licences) if licences else 'none'}",
            f"- data hash `{run.raw.hash[:16]}`; every row left out stands in `data_manifest.json`",
            "",
            "## What was trained",
            f"- trained on {settings.render.train_on} assistant turns with their terminators;"
            f" prompt weight {settings.render.prompt_weight:g}",
            f"- tokens over the run: {tokens['real']:,} real, {tokens['distinct']:,} distinct,"
            f" {tokens['trained']:,} trained",
            f"- {result['steps']} steps of {settings.loop.batch_size} sequences{groups},"
            f" learning rate {run.learning_rate:g}",
            f"- prefixes: {run.chosen.mode}; computed in {run.loaded.compute_dtype}",
            f"- trained without the proofs {', '.join(skipped)}" if skipped else "- all proofs that apply held",
            "",
            "## Measured",
            f"- training loss {result['loss_first']:.4f} at the first step, {result['loss_last']:.4f} at the last",
            f"- held-out loss {evaluation['first']:.4f} before, {evaluation['last']:.4f} after,"
            f" on {evaluation['rows']} sequences"
            if evaluation
            else "- no rows were held out",
            "",
            "`run.yaml` holds every setting, `environment.json` the machine, `metrics.jsonl` the curve.",
            "",
        ]
    )
