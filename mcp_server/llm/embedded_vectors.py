"""Makes the file that llama.cpp loads of all-MiniLM-L6-v2 as its authors publish it: safetensors and a list of words.

The result is the same to the bit everywhere. Needs numpy and gguf, which development has.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

NAME = "all-MiniLM-L6-v2"
CONTEXT = 512
HEADS = 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORD_BEGINS, WORD_GOES_ON = "▁", "##"  # as llama.cpp marks it, as BERT does

_TOP = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_OF_A_LAYER = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}
_KEPT_WHOLE = ("position_embd.weight", "token_types.weight")


def make_gguf(safetensors: Path, vocabulary: Path, out: Path) -> Path:
    """`out`, written. Raises ImportError without gguf, and OSError, ValueError or KeyError for files that are not those of the model."""
    gguf = importlib.import_module("gguf")
    quants = importlib.import_module("gguf.quants")
    tensors = {target: tensor for name, tensor in _read(safetensors).items() if (target := _target(name))}
    words = vocabulary.read_text(encoding="utf-8").splitlines()
    writer = gguf.GGUFWriter(str(out), "bert")
    _describe(writer, gguf, tensors, words)
    for name, tensor in tensors.items():
        if tensor.ndim == 1 or name in _KEPT_WHOLE:
            writer.add_tensor(name, tensor)
        else:
            writer.add_tensor(name, quants.quantize(tensor, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file: eight bytes of length, JSON, then the numbers."""
    numpy = importlib.import_module("numpy")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    found = {}
    for name, facts in header.items():
        if name == "__metadata__" or facts["dtype"] != "F32":
            continue  # ids of positions, which nobody needs
        begin, end = (8 + length + offset for offset in facts["data_offsets"])
        found[name] = numpy.frombuffer(content[begin:end], dtype="<f4").reshape(facts["shape"])
    return found


def _target(name: str) -> str | None:
    """llama.cpp's name for a tensor; None for what it does not need."""
    if name in _TOP:
        return _TOP[name]
    if not name.startswith("encoder.layer."):
        return None
    number, rest = name.removeprefix("encoder.layer.").split(".", 1)
    stem, suffix = rest.rsplit(".", 1)
    return f"blk.{number}.{_OF_A_LAYER[stem]}.{suffix}"


def _describe(writer: Any, gguf: Any, tensors: dict[str, Any], words: list[str]) -> None:
    writer.add_name(NAME)
    writer.add_license("apache-2.0")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(tensors["token_embd.weight"].shape[1])
    writer.add_feed_forward_length(tensors["blk.0.ffn_up.weight"].shape[0])
    writer.add_block_count(sum(name.endswith(".ffn_up.weight") for name in tensors))
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)
    writer.add_vocab_size(len(words))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([_word(word) for word in words])
    writer.add_token_types([gguf.TokenType.CONTROL if word in SPECIAL else gguf.TokenType.NORMAL for word in words])
    pad, unknown, begin, end, mask = (words.index(word) for word in SPECIAL)
    writer.add_pad_token_id(pad)
    writer.add_unk_token_id(unknown)
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.add_sep_token_id(end)
    writer.add_mask_token_id(mask)


def _word(word: str) -> str:
    if word in SPECIAL:
        return word
    return word.removeprefix(WORD_GOES_ON) if word.startswith(WORD_GOES_ON) else WORD_BEGINS + word
