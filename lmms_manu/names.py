"""Names that several parts of this package, and whoever reads its results, have to agree on."""

MODALITIES = ("multimodal", "text")
"""With pictures, and as text alone."""

MODEL = "manu_pruned"
"""The model that the plugin registers."""

MODELS = (MODEL, "unlearned")
"""All its names; the second one is for methods that prune nothing."""

RECORD_FILE = "edit.json"
"""The record of an edit: beside the weights of an exported checkpoint, and above the results of its evaluation."""

CHANGE_FOLDER = "edit"
"""What was changed, below an exported checkpoint: beside its weights servers would take any tensors for weights."""

MANIFEST_FILE = "run.json"
"""What `lmms-manu evaluate` ran, above its results."""

ANSWERS_FOLDER = "answers"
"""Answers of an evaluation that has not ended yet, beside that file."""
