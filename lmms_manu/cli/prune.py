"""Prunes a checkpoint by MANU and writes the result as an ordinary Hugging Face checkpoint.

The folder holds weights, processor, a model card that records the edit, and the mask of pruned neurons. It loads with
plain `from_pretrained`, so that any program can use it without this package; evaluated as `--model manu_pruned
--model_args pretrained=DIR,method=none` it gives the answers that pruning in memory gives.

examples:
  lmms-manu prune --pretrained MLLMMU/LLaVA_Vanilla --processor llava-hf/llava-1.5-7b-hf --prune-rate 2 --output pruned
  lmms-manu prune --pretrained MODEL --mask mask.safetensors --output pruned
"""

from __future__ import annotations

from lmms_manu.cli.edit import add_arguments, run

__all__ = ["add_arguments", "run"]
