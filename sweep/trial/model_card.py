"""The page beside an exported model: what it is, what it learned from, how it was chosen, and what it is good for."""

from __future__ import annotations

import math
import platform
from importlib import metadata

from tabulate import tabulate

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.shallow._base import ShallowMethod
from transfer_sweep.reports.selection import TARGET_LABELS, by_labels, describe
from transfer_sweep.sweep.trial.export import FILES, Check, side
from transfer_sweep.sweep.trial.forms import ExportFormat
from transfer_sweep.sweep.trial.saved_model import Chosen, SavedModel

_PACKAGES = ("torch", "torchvision", "numpy", "pillow")

_IMAGENET = "They were trained on ImageNet, whose pictures are given out for research that is not commercial."
LICENCES = {
    "efficientnet_lite0": f"EfficientNet-Lite0's weights were published under Apache-2.0 (tensorflow/tpu). {_IMAGENET}",
    **dict.fromkeys(
        ("resnet50", "resnet18", "alexnet"),
        f"torchvision is under BSD-3-Clause; its weights may have terms of their own, from their data. {_IMAGENET}",
    ),
}
"""What is known of the terms of a backbone's pretrained weights."""

_PARTS = {
    "source": "labelled source samples",
    "validation": "source samples held out of training",
    "target": "unlabelled target samples",
    "target_labelled": "labelled target samples",
}


def model_card(model: SavedModel, chosen: Chosen, form: ExportFormat, check: Check, used: str) -> str:
    """The page, as markdown.

    Args:
        model: that is exported.
        chosen: how it was chosen.
        form: of its file.
        check: how far it is from ``predict``.
        used: what wrote it.
    """
    trial = model.trial
    method = method_registry.get(trial.method)
    lines = [
        f"# {trial.method}: {trial.cell.dataset}, {trial.pair.source} → {trial.pair.target}",
        "",
        f"`{FILES[form]}` classifies {model.takes} of the domain **{trial.pair.target}** into {len(model.classes)} "
        f"classes: {', '.join(model.classes)}. It was made by {used}.",
        "",
        "## Use",
        "",
        *_use(model, form),
        "",
        f"Before it was kept: {check}.",
        "",
        "## Data",
        "",
        _table(_data(model, chosen)),
        "",
        "## Method",
        "",
        f"{trial.method}: {method.source}.",
        "",
        _table(
            [
                ("backbone", trial.protocol.backbone),
                ("training", trial.protocol.training),
                ("target labels that the method sees", _target_labels(model, method.label_access)),
                ("epochs", str(trial.budget)),
                ("seed", str(trial.seed)),
                *((name, _text(value)) for name, value in {**trial.protocol.options, **trial.protocol.inputs}.items()),
                *((name, _text(value)) for name, value in trial.params.items()),
            ]
        ),
        "",
        "## How it was chosen",
        "",
        _choice(chosen),
        "",
        "## What it is good for, and what not",
        "",
        f"- It is adapted to inputs like those of {trial.pair.target}; of others it may be wrong, and sure of it.",
        "- Each input gets one of the classes above, also where it shows none of them.",
        "- Probabilities are the softmax of the logits. They rank answers; how often such answers are right, nobody "
        "has measured." + (" Those of nearest neighbours are of distances." if _by_distance(model) else ""),
        "- It was made to compare methods of transfer learning. Where errors do harm, test it on labelled inputs of "
        "your own first.",
        "",
        "## Terms",
        "",
        LICENCES.get(trial.protocol.backbone, "No weights from elsewhere are in it.")
        if trial.protocol.training in ("frozen", "finetune")
        else "No weights from elsewhere are in it.",
        f"What the terms of the data set say of models holds for this one ({model.dataset.source}).",
        "",
        "## Versions",
        "",
        f"transfer-sweep {_version('transfer-sweep')}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
        + f"; trial {trial.id}.",
        "",
    ]
    return "\n".join(lines)


def _use(model: SavedModel, form: ExportFormat) -> list[str]:
    pixels, shape = side(model), "×".join(map(str, model.file.input_shape))
    if pixels is not None:
        crop = ", cropped in the middle and normalised" if model.frozen or pixels > 224 else ""
        takes = (
            "`pixels`, uint8, (n, 3, height, width): RGB, upright, of any size, the same for all of a batch. They are "
            f"resized to {pixels}×{pixels} inside, as Pillow does it{crop}."
        )
    elif model.takes == "pictures":
        takes = (
            f"`pixels`, uint8, (n, {shape.replace('×', ', ')}): images as the data set {model.trial.cell.dataset} "
            "prepares them (a written digit is cut out of its paper, say); that part is not in the file."
        )
    else:
        names = f": {', '.join(model.feature_names)}" if model.feature_names else ""
        takes = f"`vectors`, float32, (n, {shape}){names}." + (
            " They are standardised inside." if model.standardisation is not None else ""
        )
    name = "pixels" if model.takes == "pictures" else "vectors"
    gives = "`logits` and `probabilities`, float32, (n, K), in the order of `classes.json`."
    code = {
        ExportFormat.ONNX: [
            "import onnxruntime",
            f'session = onnxruntime.InferenceSession("{FILES[form]}")',
            f'logits, probabilities = session.run(None, {{"{name}": {name}}})',
        ],
        ExportFormat.TORCHSCRIPT: [
            "import torch",
            f'logits, probabilities = torch.jit.load("{FILES[form]}")({name})',
        ],
        ExportFormat.SAFETENSORS: [
            "from pathlib import Path",
            "from transfer_sweep.sweep.trial.export import load",
            f'logits, probabilities = load(Path("{FILES[form]}"))({name})',
        ],
    }[form]
    return [f"- Takes {takes}", f"- Gives {gives}", "", "```python", *code, "```"]


def _data(model: SavedModel, chosen: Chosen) -> list[tuple[str, str]]:
    trial = model.trial
    counts = [(_PARTS[part], str(count)) for part, count in model.file.samples.items()]
    digests = [(f"checksum of {domain}", digest) for domain, digest in chosen.checksums.items()]
    return [
        ("data set", f"{trial.cell.dataset}: {model.dataset.source}"),
        ("source, target", f"{trial.pair.source}, {trial.pair.target}"),
        *counts,
        *digests,
    ]


def _target_labels(model: SavedModel, access: str) -> str:
    few = model.trial.protocol.few_text
    return few or {"none": "none"}.get(access, "those of samples that are never scored")


def _choice(chosen: Chosen) -> str:
    among = f"{chosen.candidates} trials" if chosen.candidates > 1 else "the one trial there is"
    over = f"Its cell among those of its pair: {chosen.recommended}. " if chosen.recommended else ""
    labels_chose = by_labels(chosen.criterion)
    if chosen.label_free:
        free = "No target label was used, neither to train nor to choose."
    else:
        free = f"Target labels were used to {'choose' if labels_chose else 'train'}: it is no unsupervised result."
    if math.isnan(chosen.accuracy):
        found = "The target has no labels to score it by."
    elif chosen.criterion == TARGET_LABELS:
        found = f"On these labels it is right in {chosen.accuracy:.2f} %, which flatters: they chose it."
    else:
        which = "but those that were drawn to choose by" if chosen.drawn else "which chose nothing"
        found = f"On the target's labelled samples, {which}, it is right in {chosen.accuracy:.2f} %."
    return f"By {chosen.criterion} ({describe(chosen.criterion)}), among {among} of its cell. {over}{free} {found}"


def _by_distance(model: SavedModel) -> bool:
    return isinstance(model.algorithm, ShallowMethod) and model.algorithm.compares_with_samples


def _table(rows: list[tuple[str, str]]) -> str:
    escaped = [(name, value.replace("|", "\\|")) for name, value in rows]
    return tabulate(escaped, headers=("", ""), tablefmt="github", disable_numparse=True)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
