"""A model card: what a folder's model is, in words, from what its ``model.json`` says and nothing else."""

from typing import TYPE_CHECKING, Final

from simulator.signals import SIGNALS

if TYPE_CHECKING:
    from model.training import Description

_METHODS: Final = {
    "mae": "masked autoencoding: patches are hidden, and predicted from those that are seen",
    "simclr": "SimCLR: two views of a window are told from other windows",
    "dino": "DINO: one view of a window foretells what a slower copy of the network makes of another",
    "msn": "MSN: a window of which patches are hidden is to look like the whole one",
}


def card(description: "Description", parameters: int) -> str:
    """The card as Markdown.

    Args:
        description: The folder's ``model.json``.
        parameters: Number of trainable parameters.
    """
    a, origin = description.architecture, description.made_by
    pieces = [f"{a.patch_minutes} minutes x {a.patch_signals} signal{'s' if a.patch_signals > 1 else ''}"]
    pieces.append("gaps filled with straight lines first" if a.filled else "gaps taken as they are")
    pieces.append("positions by the clock" if a.clock else "positions from the window's beginning")
    shape = (
        f"Windows of {a.window_minutes} minutes, 26 signals; patches of {', '.join(pieces)}. Encoder {a.depth} blocks "
        f"of width {a.width} and {a.heads} heads, {a.decoder} decoder {a.decoder_depth} x {a.decoder_width}."
    )
    lines = [
        "# Model card",
        "",
        f"A transformer encoder of minute-level watch signals with {parameters:,} parameters, written by everywear.",
        "",
        "```python",
        "from model.foundation import FoundationModel",
        "",
        'model = FoundationModel.load("this/folder")',
        "vectors, complete, ahead = model.embed(days), model.impute(days), model.forecast(days, 60)",
        "```",
        "",
        "## Shape",
        "",
        shape,
        "",
        "## Training",
        "",
        *_training(description),
        "",
        "## Normaliser",
        "",
        f"Each signal is a z-score by these constants, clipped at {description.normaliser.clip_z:g}.",
        "",
        "| signal | unit | mean | standard deviation |",
        "|---|---|---|---|",
        *(
            f"| {signal.name} | {signal.unit} | {mean:.4g} | {sd:.4g} |"
            for signal, mean, sd in zip(SIGNALS, description.normaliser.mean, description.normaliser.sd, strict=True)
        ),
        "",
        "## Intended use",
        "",
        "Research on wearable signals: embeddings for probes and clustering, filling of gaps, short forecasts, and a "
        "warm start for training on other people, in private or not.",
        "",
        "## Limits",
        "",
        "- No medical device: nothing that it says is fit for diagnosis or care.",
        "- It knows people like those it was trained on. Simulated people are not real ones; score it on your own "
        "recordings (`everywear evaluate`) before you rely on it.",
        "- Signals outside the constants' clip are cut; signals that were never observed in training are guesses.",
        *([] if origin.method == "mae" else ["- Only the encoder was trained: `impute` and `forecast` mean nothing."]),
        "",
        "## Licence",
        "",
        "The code is Apache-2.0, simulated people are CC0, and neither restricts these weights. If recordings of real "
        "people were used, what they agreed to holds.",
        "",
    ]
    return "\n".join(lines)


def _training(description: "Description") -> list[str]:
    """How the model came about."""
    origin = description.made_by
    lines = [f"- Method: {_METHODS.get(origin.method, origin.method)}.", f"- Seed: {origin.seed}."]
    if origin.people:
        lines.append(f"- People: {len(origin.people)}; `model.json` has their marks, so that nobody is scored on them.")
    if origin.data is not None:
        lines.append(f"- Dataset: the one whose `dataset.json` says SHA-256 `{origin.data}`.")
    if origin.experiment is not None:
        told = "its public people may be counted here; what was spent of private ones stands in their makers' ledgers"
        lines.append(f"- Federated run: experiment `{origin.experiment}`; {told}.")
    if origin.plan is not None:
        plan = origin.plan
        lines.append(
            f"- Plan: {plan.steps} steps of {plan.batch_windows} windows, AdamW, learning rate {plan.learning_rate:g} "
            f"after a warm-up over {plan.warmup_share:.0%}, weight decay {plan.weight_decay:g}, gradient norm "
            f"{plan.clip_norm:g}, {'with' if plan.augment else 'without'} augmentation."
        )
    for name, loss in (("last step", origin.loss), ("people held out", origin.held_out_loss)):
        if loss is not None:
            lines.append(f"- Loss, {name}: {loss:.4f}.")
    return lines
