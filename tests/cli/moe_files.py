"""moe_files.py: tiny mixture-of-experts models, made by hand: as safetensors, and as GGUF.

Every matrix is of bytes that are nowhere else in the file, so that one in the wrong place is seen.
"""
import json
import random
import struct

F32 = 4  # bytes of an element
GGML_F32, GGML_Q8_0 = 0, 8
BLOCK = {GGML_F32: (1, 4), GGML_Q8_0: (32, 34)}  # elements and bytes of a block


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def safetensors(matrices):
    """A file of F32 matrices: (name, shape) each."""
    header, data = {}, b""
    for name, shape in matrices:
        size = F32
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + size]}
        data += noise(name, size)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def gguf(matrices, alignment=32):
    """A file of matrices: (name, shape, type) each, outermost dimension first."""
    def text(word):
        return struct.pack("<Q", len(word)) + word.encode()
    descriptions, data = b"", b""
    for name, shape, kind in matrices:
        data += bytes(-len(data) % alignment)
        descriptions += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, len(data))
        elements, size = BLOCK[kind]
        count = 1
        for length in shape:
            count *= length
        data += noise(name, count // elements * size)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(matrices), 1) + text("general.alignment")
    head += struct.pack("<II", 4, alignment) + descriptions
    return head + bytes(-len(head) % alignment) + data


def mixtral(layers=2, experts=4, rows=6, columns=5):
    """As Mixtral names them, in the order of the alphabet, as files of that kind have them."""
    matrices = [("lm_head.weight", (rows, columns)), ("model.embed_tokens.weight", (rows, columns))]
    for layer in range(layers):
        moe = f"model.layers.{layer}.block_sparse_moe."
        for expert in range(experts):
            matrices += [(f"{moe}experts.{expert}.{w}.weight", (rows, columns)) for w in ("w1", "w2", "w3")]
        matrices += [(moe + "gate.weight", (experts, columns)),
                     (f"model.layers.{layer}.self_attn.q_proj.weight", (rows, rows))]
    return safetensors(sorted(matrices))


def qwen(layers=1, experts=3, rows=6, columns=5):
    matrices = [("model.embed_tokens.weight", (rows, columns))]
    for layer in range(layers):
        mlp = f"model.layers.{layer}.mlp."
        for expert in range(experts):
            matrices += [(f"{mlp}experts.{expert}.{w}_proj.weight", (rows, columns)) for w in ("down", "gate", "up")]
        matrices += [(mlp + "gate.weight", (experts, columns)), (mlp + "shared_expert.up_proj.weight", (rows, columns)),
                     (mlp + "shared_expert_gate.weight", (1, columns))]
    return safetensors(matrices)


def merged_gguf(layers=2, experts=4, rows=3, columns=32):
    """Experts in one tensor of three dimensions; rows that are no multiple of the alignment."""
    matrices = [("token_embd.weight", (rows, columns), GGML_F32)]
    for layer in range(layers):
        block = f"blk.{layer}."
        matrices += [(block + "attn_q.weight", (rows, columns), GGML_F32),
                     (block + "ffn_gate_inp.weight", (experts, columns), GGML_F32),
                     *((f"{block}ffn_{w}_exps.weight", (experts, rows, columns), GGML_Q8_0)
                       for w in ("gate", "down", "up"))]
    return gguf(matrices)


def separate_gguf(layers=1, experts=3, rows=3, columns=32):
    matrices = [("token_embd.weight", (rows, columns), GGML_F32)]
    for layer in range(layers):
        block = f"blk.{layer}."
        matrices.append((block + "ffn_gate_inp.weight", (experts, columns), GGML_F32))
        for expert in range(experts):
            matrices += [(f"{block}ffn_{w}.{expert}.weight", (rows, columns), GGML_Q8_0)
                         for w in ("gate", "down", "up")]
    return gguf(matrices)
