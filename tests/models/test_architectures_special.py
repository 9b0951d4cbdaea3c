"""Architectures whose towers or MLPs are built unlike the rest, each as a tiny model with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from support.tiny_architectures import TEXT, VISION
from support.tiny_models import IMAGE_TOKEN, randomised

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import force_to_zero, watch

BATCH, TOKENS = 2, 7
IDS = torch.randint(10, 99, (BATCH, TOKENS), generator=torch.Generator().manual_seed(0))
PICTURE = torch.randn(BATCH, 3, 28, 28, generator=torch.Generator().manual_seed(1))
PROMPT = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
IN_PICTURE = torch.tensor([[0, 0, 1, 1, 0, 0, 0]] * BATCH)
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [3, 3, 2]}
OPT = {
    "model_type": "opt",
    "vocab_size": 99,
    "hidden_size": 32,
    "word_embed_proj_dim": 32,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}


def blip2():
    qformer = TEXT | {"encoder_hidden_size": 32}
    config = hf.Blip2Config(
        image_token_index=IMAGE_TOKEN, num_query_tokens=3, vision_config=VISION, qformer_config=qformer, text_config=OPT
    )
    ids = torch.cat([torch.full((BATCH, 3), IMAGE_TOKEN), IDS], dim=1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": PICTURE}
    return hf.Blip2ForConditionalGeneration(config), inputs


def ernie():
    text = TEXT | {"moe_intermediate_size": [20, 12], "moe_num_experts": 4, "moe_k": 2, "rope_parameters": ROPE}
    config = hf.Ernie4_5_VLMoeConfig(text_config=text | {"num_hidden_layers": 3}, vision_config=VISION)
    kinds = {"moe_mm_token_type_ids": IN_PICTURE, "mm_token_type_ids": IN_PICTURE}
    return hf.Ernie4_5_VLMoeForConditionalGeneration(config), PROMPT | kinds


def gemma3n():
    config = hf.Gemma3nTextConfig(
        **TEXT
        | {
            "num_hidden_layers": 4,
            "num_kv_shared_layers": 0,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            "activation_sparsity_pattern": [0.9, 0.9, 0.0, 0.0],
            "intermediate_size": [48] * 4,
            "laurel_rank": 8,
            "hidden_size_per_layer_input": 16,
            "vocab_size_per_layer_input": 99,
            "altup_num_inputs": 2,
            "sliding_window": 16,
        }
    )
    return hf.Gemma3nForCausalLM(config), PROMPT


def gemma4():
    text = TEXT | {"enable_moe_block": True, "top_k_experts": 2, "hidden_size_per_layer_input": 0}
    config = hf.Gemma4Config(
        text_config=text | {"global_head_dim": 16, "vocab_size_per_layer_input": 99},
        vision_config=VISION | {"head_dim": 16, "num_key_value_heads": 2},
    )
    return hf.Gemma4ForConditionalGeneration(config), PROMPT


def git():
    return hf.GitForCausalLM(hf.GitConfig(**TEXT, vision_config=VISION)), PROMPT | {"pixel_values": PICTURE}


def hy_v4_vl():
    attention = {"qk_nope_head_dim": 8, "qk_rope_head_dim": 16, "v_head_dim": 16, "q_lora_rank": 16, "kv_lora_rank": 16}
    indexer = {"index_topk": 8, "index_head_dim": 32, "index_n_heads": 2, "indexer_types": ["full"] * 2}
    layers = {"layer_types": ["indexed_attention"] * 2, "mlp_layer_types": ["dense", "sparse"]}
    text = TEXT | attention | indexer | layers | {"rope_parameters": ROPE}
    return hf.HYV4VLForConditionalGeneration(hf.HYV4VLConfig(text_config=text, vision_config=VISION)), PROMPT


def idefics():
    perceiver = {"use_resampler": True, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2}
    config = hf.IdeficsConfig(
        **TEXT,
        additional_vocab_size=0,
        cross_layer_interval=1,
        vision_config=VISION,
        perceiver_config=perceiver | {"resampler_head_dim": 16},
    )
    pictures = {"pixel_values": PICTURE[:, None], "image_attention_mask": torch.ones(BATCH, TOKENS, 1)}
    return hf.IdeficsForVisionText2Text(config), PROMPT | pictures


def inkling():
    return hf.InklingForConditionalGeneration(hf.InklingConfig(text_config=TEXT, vision_config=VISION)), PROMPT


def inkling2_loop():
    loop = {"loop_layer_index_start": 1, "loop_layer_index_end": 3, "loop_num_passes": 2, "loop_gate_rank": 8}
    attention = {"swa_num_attention_heads": 2, "swa_num_key_value_heads": 2, "swa_head_dim": 16, "d_rel": 8}
    layers = {"num_hidden_layers": 4, "layer_types": ["hybrid_sliding", "hybrid"] * 2, "n_layers_per_attn_res_block": 1}
    text = TEXT | loop | attention | layers | {"unpadded_vocab_size": 99, "rel_extent": 16, "sliding_window_size": 16}
    vision = VISION | {"model_type": "inkling2_vision", "text_hidden_size": 32}
    config = hf.Inkling2LoopConfig(text_config=text, vision_config=vision)
    return hf.Inkling2LoopForConditionalGeneration(config), PROMPT


def kosmos2():
    text = {"vocab_size": 99, "embed_dim": 32, "ffn_dim": 48, "layers": 2, "attention_heads": 2}
    config = hf.Kosmos2Config(latent_query_num=2, text_config=text, vision_config=VISION)
    pictures = {"pixel_values": PICTURE, "image_embeds_position_mask": IN_PICTURE}
    return hf.Kosmos2ForConditionalGeneration(config), PROMPT | pictures


def llama4():
    text = TEXT | {"intermediate_size_mlp": 48, "num_experts_per_tok": 1, "moe_layers": [1]}
    return hf.Llama4ForConditionalGeneration(hf.Llama4Config(text_config=text, vision_config=VISION)), PROMPT


def t5gemma2():
    config = hf.T5Gemma2Config(encoder={"text_config": TEXT, "vision_config": VISION}, decoder=TEXT)
    return hf.T5Gemma2ForConditionalGeneration(config), PROMPT | {"decoder_input_ids": IDS}


def udop():
    sizes: dict[str, Any] = {"vocab_size": 99, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
    config = hf.UdopConfig(**sizes, image_size=28, patch_size=14, relative_bias_args=[{"type": "1d"}])
    return hf.UdopForConditionalGeneration(config), PROMPT | {"decoder_input_ids": IDS}


def vision_encoder_decoder():
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(hf.ViTConfig(**VISION), hf.BertConfig(**TEXT))
    return hf.VisionEncoderDecoderModel(config), {"pixel_values": PICTURE, "decoder_input_ids": IDS}


runs_llama4 = pytest.mark.xfail(
    hf.__version__ == "5.24.0",
    raises=AttributeError,
    strict=True,
    reason="Llama 4's own forward pass reads an output that it does not have (image_outputs)",
)
MODELS = (
    blip2,
    ernie,
    gemma3n,
    gemma4,
    git,
    hy_v4_vl,
    idefics,
    inkling,
    inkling2_loop,
    kosmos2,
    pytest.param(llama4, marks=runs_llama4),
    t5gemma2,
    udop,
    vision_encoder_decoder,
)


def build(make):
    torch.manual_seed(0)
    model, inputs = make()
    return randomised(model), inputs


def rows_seen(model, blocks, inputs):
    rows = [0] * len(blocks)

    def count(index, activations, *_):
        rows[index] += activations.shape[0]

    with watch(model, blocks, count), torch.no_grad():
        model(**inputs)
    return dict(zip((block.name for block in blocks), rows, strict=True))


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_zeroed_weights_compute_what_activations_forced_to_zero_do(make):
    model, inputs = build(make)
    blocks = find_mlp_blocks(model)
    mask = NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])
    check_editable(model, blocks)
    with torch.no_grad():
        plain = model(**inputs).logits
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = model(**inputs).logits
        zero_neurons(model, blocks, mask)
        verify_zeros(model, blocks, mask)
        assert torch.equal(model(**inputs).logits, forced)
    assert not torch.allclose(forced, plain)
    assert any(rows_seen(model, blocks, inputs).values())


def test_ernie_routes_picture_tokens_and_text_tokens_to_experts_of_their_own():
    model, inputs = build(ernie)
    rows = rows_seen(model, find_mlp_blocks(model), inputs)
    pictured = int(IN_PICTURE.sum())
    layer = "model.language_model.layers.1.mlp"
    assert rows[f"{layer}.text_moe.experts"] == 2 * (BATCH * TOKENS - pictured)
    assert rows[f"{layer}.vision_moe.experts"] == 2 * pictured
    assert rows[f"{layer}.shared_experts"] == BATCH * TOKENS


@runs_llama4
def test_llama4_counts_only_the_tokens_that_an_expert_is_given():
    model, inputs = build(llama4)
    rows = rows_seen(model, find_mlp_blocks(model), inputs)
    assert rows["language_model.model.layers.1.feed_forward.experts"] == BATCH * TOKENS


def test_inkling_gives_every_token_to_each_shared_expert():
    model, inputs = build(inkling)
    blocks = find_mlp_blocks(model)
    rows = rows_seen(model, blocks, inputs)
    shared = next(block for block in blocks if block.name.endswith("shared_experts"))
    assert rows[shared.name] == shared.experts * BATCH * TOKENS


def test_a_layer_that_runs_in_several_passes_is_seen_in_each():
    model, inputs = build(inkling2_loop)
    rows = rows_seen(model, find_mlp_blocks(model), inputs)
    experts_of_a_token = 2
    passes = [rows[f"model.language_model.layers.{layer}.mlp.experts"] for layer in range(4)]
    assert passes == [number * experts_of_a_token * BATCH * TOKENS for number in (1, 2, 2, 1)]


def test_kosmos2_and_gemma3n_couple_the_neurons_of_some_blocks():
    coupled = [block.coupled for block in find_mlp_blocks(build(gemma3n)[0])]
    assert coupled == [True, True, False, False]
    blocks = find_mlp_blocks(build(kosmos2)[0])
    assert {(block.tower, block.coupled) for block in blocks} == {("language", True), ("vision", False)}


def test_resamplers_between_the_towers_belong_to_neither():
    for make in (idefics, blip2):
        names = [block.name for block in find_mlp_blocks(build(make)[0])]
        assert not any(word in name for name in names for word in ("perceiver", "qformer"))


def test_encoder_and_decoder_of_one_language_tower_are_numbered_on():
    blocks = find_mlp_blocks(build(t5gemma2)[0])
    assert [block.layer for block in blocks if block.tower == "language"] == [0, 1, 2, 3]
