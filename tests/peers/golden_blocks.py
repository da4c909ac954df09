"""Writes tests/formats/block_golden.txt: blocks by the gguf package (ggml's) and by ml_dtypes with the
definitions of blocks.py (MX, NVFP4). Run it by the Python that tests/peers/run.sh makes:
build/peers/python/bin/python tests/peers/golden_blocks.py > tests/formats/block_golden.txt"""
import gguf
import numpy as np

from blocks import GGML, MX, elements, nvfp4_elements, nvfp4_scales, shared_power


def inputs():
    random = np.random.default_rng(7)
    yield random.standard_normal(96)
    yield random.standard_normal(96) * 2.0 ** random.integers(-20, 8, 96)
    yield random.integers(-8, 9, 96) * 0.25
    edges = np.zeros(96)
    # No block whose minimum is a 0 of both signs: which of them numpy takes is its own affair.
    edges[[5, 33, 40, 41]] = [1e-45, 6e4, -1e-7, -0.0]
    edges[64:] = -2.5
    yield edges


def packed(codes, bits):
    """Codes as bits, the least significant first."""
    flat = (codes[..., None] >> np.arange(bits)) & 1
    return np.packbits(flat.reshape(*codes.shape[:-1], -1).astype(np.uint8), axis=-1, bitorder="little")


def mx_bytes(x, name, rule):
    kind = MX[name]
    peer, _, _, _, bits = kind
    blocks = x.astype(np.float64).reshape(-1, 32)
    power = shared_power(np.abs(blocks).max(axis=1), kind, rule)
    units = elements(blocks / 2.0 ** power[:, None], kind, "half-even")
    units = np.copysign(units, blocks)
    codes = (units * 64).astype(np.int8).view(np.uint8) if peer is None else units.astype(peer).view(np.uint8)
    return np.concatenate([(power + 127)[:, None].astype(np.uint8), packed(codes, bits)], axis=1)


def nvfp4_bytes(x):
    whole, scales = nvfp4_scales(x)
    units, _ = nvfp4_elements(x, whole, scales)
    codes = np.ascontiguousarray(units).view(np.uint8)
    return whole, np.concatenate([scales.view(np.uint8)[:, None], packed(codes, 4)], axis=1)


def line(name, rule, whole, number, data):
    print(name, rule, np.float32(whole).tobytes().hex(), number, data.tobytes().hex())


print("# By tests/peers/golden_blocks.py. Bytes are little-endian.")
print("# input, its number, float32 values; or format, scale rule, tensor scale, input, blocks")
for number, values in enumerate(inputs()):
    x = values.astype(np.float32)
    print("input", number, x.tobytes().hex())
    for name, kind in GGML.items():
        line(name, "floor", 1, number, gguf.quants.quantize(x, kind))
    for name in MX:
        for rule in ("floor", "ceil", "even", "rceil"):
            line(name, rule, 1, number, mx_bytes(x, name, rule))
    whole, data = nvfp4_bytes(x)
    line("nvfp4", "floor", whole, number, data)
