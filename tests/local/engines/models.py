"""Tiny random models, made on the spot: no hub is needed. Run with an interpreter that has torch and transformers."""

from __future__ import annotations

from pathlib import Path

SPECIAL = ["<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<pad>", "<image>"]
IMAGE = SPECIAL.index("<image>")
CHAT = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'image' %}{{ '<image>' }}{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}{% endif %}{{ '</s>' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(chat: str | None = CHAT, *, begins: bool = False):
    """One token per byte. begins: texts get a `<s>` in front, as many base models want it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={name: n for n, name in enumerate(names)}, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    if begins:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made, additional_special_tokens=[*SPECIAL[3:6], "<image>"], **roles
    )
    wrapped.chat_template = chat
    return wrapped


def _text_config(vocabulary: int):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=6,
    )


def write_llama(path: Path, chat: str | None = CHAT, *, begins: bool = False) -> Path:
    """A causal language model of two layers."""
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    words = tokenizer(chat, begins=begins)
    LlamaForCausalLM(_text_config(len(words))).to(torch.float32).save_pretrained(path)
    words.save_pretrained(path)
    return path


def write_mistral(path: Path) -> Path:
    """A causal language model whose layers look at the last 16 tokens only."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    words = tokenizer()
    config = MistralConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, sliding_window=16, bos_token_id=1, eos_token_id=2, pad_token_id=6,
    )  # fmt: skip
    MistralForCausalLM(config).to(torch.float32).save_pretrained(path)
    words.save_pretrained(path)
    return path


def write_llava(path: Path) -> Path:
    """An image-text model: CLIP's tower and Llama, two layers each, 56 x 56 pixels."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(0)
    words = tokenizer()
    tower = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        projection_dim=32,
    )
    config = LlavaConfig(
        vision_config=tower, text_config=_text_config(len(words)), image_token_index=IMAGE,
        vision_feature_select_strategy="default", vision_feature_layer=-1,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).to(torch.float32).save_pretrained(path)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    LlavaProcessor(
        image_processor=pictures, tokenizer=words, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=CHAT,
    ).save_pretrained(path)  # fmt: skip
    return path
