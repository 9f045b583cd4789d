"""Makes a language model of half a megabyte with random weights, as a GGUF file that llama.cpp loads and serves.

It says nonsense. But it is a real model: tokens, slots, streaming, stop reasons, a full context and answers held to a
schema are as with a large one, in milliseconds. The weights come from a fixed seed.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 4096
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIALS = (END_OF_TEXT, START, END)
MERGES = ("Ġ t", "h e", "i n", "e r", "o n")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny_gguf(path: Path) -> Path:
    random = np.random.default_rng(1)
    vocabulary = [*SPECIALS, *_byte_characters(), *(merge.replace(" ", "") for merge in MERGES)]
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, vocabulary)

    def matrix(rows: int, columns: int, scale: float = 0.08) -> np.ndarray:
        return random.normal(0, scale, (rows, columns)).astype(np.float32)

    embedding, head = matrix(len(vocabulary), WIDTH, 0.5), matrix(len(vocabulary), WIDTH, 0.5)
    embedding[:, 0] = 8.0  # the same in all: what the head has in this column is then a bias of each token
    head[:, 0] = [_bias(token) for token in vocabulary]
    writer.add_tensor("token_embd.weight", embedding)
    for layer in range(LAYERS):
        shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
        shapes |= {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
        for name, shape in shapes.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", head)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, vocabulary: list[str]) -> None:
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL if token in SPECIALS else gguf.TokenType.NORMAL for token in vocabulary])
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(vocabulary.index(END_OF_TEXT))
    writer.add_eos_token_id(vocabulary.index(END))
    writer.add_eot_token_id(vocabulary.index(END))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _byte_characters() -> list[str]:
    """GPT-2's printable stand-in for each byte."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    unprintable = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + unprintable.index(byte)) for byte in range(256)]


def _bias(token: str) -> float:
    """Only ASCII is ever written, so that no half UTF-8 sequence comes out, and the model ends by itself now and then."""
    if token == END:
        return 0.15
    if token == "Ġ":
        return -0.3
    return 0.0 if all("!" <= character <= "~" or character == "Ġ" for character in token) and token not in SPECIALS else -20.0
