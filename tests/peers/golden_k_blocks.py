"""Writes tests/io/k_blocks_golden.txt: the numbers of random blocks by the gguf package (ggml's), of Q8_1
and Q8_K, which it does not read, by their definition. Run it by the Python that tests/peers/run.sh makes:
build/peers/python/bin/python tests/peers/golden_k_blocks.py > tests/io/k_blocks_golden.txt"""
import gguf
import numpy as np

QT = gguf.GGMLQuantizationType
BLOCKS = 32
# bytes of a block, where its fp16 scales lie
TYPES = {
    "Q8_1": (36, (0, 2)),
    "Q2_K": (84, (80, 82)),
    "Q3_K": (110, (108,)),
    "Q4_K": (144, (0, 2)),
    "Q5_K": (176, (0, 2)),
    "Q6_K": (210, (208,)),
    "Q8_K": (292, ()),
    "MXFP4": (17, ()),
}


def blocks_of(size, scales, is_single):
    """Any bytes, but no scale that is infinite or NaN: the test makes the same."""
    state = 1
    data = np.zeros((BLOCKS, size), np.uint8)
    for block in data:
        for i in range(size):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            block[i] = state >> 24
        for at in scales:
            if block[at + 1] & 0x7C == 0x7C:
                block[at + 1] &= 0xBF
        if is_single and block[3] & 0x7F == 0x7F:
            block[3] &= 0xBF
    return data


def numbers(name, data):
    if name == "Q8_1":
        return np.ascontiguousarray(data[:, :2]).view(np.float16).astype(np.float32) * data[:, 4:].view(np.int8)
    if name == "Q8_K":
        return np.ascontiguousarray(data[:, :4]).view(np.float32) * data[:, 4:260].view(np.int8)
    return gguf.dequantize(data, QT[name])


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


print("# By tests/peers/golden_k_blocks.py from the gguf package 0.19.0.")
print("# type, bytes of a block, hash (FNV-1a, 64 bits) of each block's numbers as float32")
for name, (size, scales) in TYPES.items():
    with np.errstate(over="ignore"):
        x = numbers(name, blocks_of(size, scales, name == "Q8_K")).astype(np.float32)
    print(name, size, *(fnv(row.tobytes()) for row in x))
