"""Makes an embedding model of some kilobytes with random weights, as a GGUF file that llama.cpp loads and serves.

What it finds alike means nothing. But the same text gives the same vector, texts with the same letters lie near each other, and what
does not fit its context is refused as by a large one.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, HEADS, INNER, CONTEXT = 32, 2, 64, 512
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def make_tiny_vectors(path: Path) -> Path:
    random = np.random.default_rng(2)
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [*SPECIALS, *(f"▁{letter}" for letter in letters), *letters]
    writer = gguf.GGUFWriter(str(path), "bert")
    _describe(writer, vocabulary)

    def matrix(rows: int, columns: int, scale: float = 0.3) -> np.ndarray:
        return random.normal(0, scale, (rows, columns)).astype(np.float32)

    def bias(width: int) -> np.ndarray:
        return np.zeros(width, np.float32)

    writer.add_tensor("token_embd.weight", matrix(len(vocabulary), WIDTH))
    writer.add_tensor("token_types.weight", matrix(2, WIDTH))
    writer.add_tensor("position_embd.weight", matrix(CONTEXT, WIDTH, 0.03))
    for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(f"{name}.bias", bias(WIDTH))
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
    for name, shape in (shapes | {"ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}).items():
        writer.add_tensor(f"blk.0.{name}.weight", matrix(*shape))
        writer.add_tensor(f"blk.0.{name}.bias", bias(shape[0]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, vocabulary: list[str]) -> None:
    writer.add_name("tiny-vectors")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)
    writer.add_vocab_size(len(vocabulary))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL if token in SPECIALS else gguf.TokenType.NORMAL for token in vocabulary])
    for number, add in enumerate((
        writer.add_pad_token_id, writer.add_unk_token_id, writer.add_bos_token_id, writer.add_sep_token_id, writer.add_mask_token_id)):
        add(number)
    writer.add_eos_token_id(SPECIALS.index("[SEP]"))
