"""Measures the knowledge residual of a model: see `lmms_manu.probing.residual`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from lmms_manu.errors import ModelError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.data import UnlearningData
from lmms_manu.methods.record import EditRecord
from lmms_manu.models.inputs import PromptEncoder, answer_start, to_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.probing.residual import Residual

_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f", "final_norm")


def measure_residual(checkpoint: Checkpoint, data: UnlearningData, record: EditRecord, batch_size: int = 4) -> Residual:
    """The residual on the samples of both sets and modalities.

    Args:
        checkpoint: the model, edited or as it was.
        data: the samples.
        record: how it was edited.
        batch_size: samples in one forward pass.

    Raises:
        ModelError: the model has no recognisable output head or final norm, or does not give its hidden states.
    """
    encoder = PromptEncoder(checkpoint)
    lens = LogitLens(checkpoint)
    layers, samples = {}, {}
    for (part, modality), examples in data.rendered(encoder).items():
        batches = [examples[start : start + batch_size] for start in range(0, len(examples), batch_size)]
        found = [lens.read(encoder, batch) for batch in tqdm(batches, desc=f"Reading {part}, {modality}")]
        layers[f"{part}/{modality}"] = tuple(torch.cat(found).mean(0).tolist())
        samples[f"{part}/{modality}"] = len(examples)
    if data.settings is None:
        return Residual(record.checkpoint, record.fingerprint, None, layers, samples, benchmark="")
    ratio, benchmark = data.settings.forget_ratio, data.settings.benchmark
    return Residual(record.checkpoint, record.fingerprint, ratio, layers, samples, benchmark=benchmark)


class LogitLens:
    """Reads the hidden states of a model through its own final norm and head.

    Args:
        checkpoint: the model.

    Raises:
        ModelError: it has no recognisable output head or final norm.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model = checkpoint.model
        self._device = checkpoint.device
        head = self._model.get_output_embeddings()
        decoder = self._model.get_decoder()
        norm = next((getattr(decoder, name) for name in _NORMS if hasattr(decoder, name)), None)
        if head is None or not isinstance(norm, nn.Module):
            raise ModelError(f"{checkpoint.name}: there is no output head or final norm to read its layers through.")
        self._head, self._norm = head, norm
        self._keeps_logits = checkpoint.accepts("logits_to_keep")

    def read(self, encoder: PromptEncoder, examples: Sequence[RenderedExample]) -> Tensor:
        """The mean probability of each example's answer tokens after each layer, `[examples, layers]`."""
        pictures = [example.pictures() for example in examples]
        inputs = encoder.encode([example.text for example in examples], pictures)
        counts = [_answer_tokens(encoder, *pair) for pair in zip(examples, pictures, strict=True)]
        moved = to_device(inputs, self._device, self._model.dtype)
        with torch.inference_mode():
            options = {"logits_to_keep": max(counts) + 1} if self._keeps_logits else {}
            output = self._model(**moved, **options, output_hidden_states=True, use_cache=False)
            states = output.hidden_states
            if not states or states[-1].shape[1] != inputs["input_ids"].shape[1]:
                raise ModelError("The model does not give one hidden state for each token of its language model.")
            rows = []
            for row, count in enumerate(counts):
                # A position predicts the token after it; padding is on the left.
                asked = slice(-count - 1, -1)
                gold = moved["input_ids"][row, -count:]
                # Before the first layer there is only the embedding; after the last one the model's own logits.
                logits = [self._head(self._norm(state[row, asked])) for state in states[1:-1]]
                logits.append(output.logits[row, asked])
                rows.append(torch.stack([_mean_probability(layer, gold) for layer in logits]))
        return torch.stack(rows)


def _answer_tokens(encoder: PromptEncoder, example: RenderedExample, pictures: Sequence[Image.Image]) -> int:
    """How many tokens at the end of an example are its answer's."""
    prompts = encoder.tokenize([example.question, example.text], [pictures, pictures])
    question, whole = (prompt.ids for prompt in prompts)
    return len(whole) - answer_start(question, whole)


def _mean_probability(logits: Tensor, gold: Tensor) -> Tensor:
    """The mean over `[tokens]` of the probability that `logits`, `[tokens, vocabulary]`, give to `gold`, `[tokens]`."""
    # Layers may lie on several devices, and not every device has float64.
    chosen = logits.float().log_softmax(-1).gather(-1, gold.unsqueeze(-1).to(logits.device))
    return chosen.cpu().double().exp().mean()
