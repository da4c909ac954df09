"""Codes of every small float format against ml_dtypes, on every fp16 and bf16, ties and random.
With --golden in place of the program: what tests/formats/golden_test.cpp holds."""
import subprocess
import sys

import ml_dtypes
import numpy as np

PROGRAM = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
PEERS = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e4m3ieee": ml_dtypes.float8_e4m3,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e3m4": ml_dtypes.float8_e3m4,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


def ours(verb, name, values, dtype):
    done = subprocess.run([PROGRAM, verb, name], input=values.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, dtype)


def inputs():
    every = np.arange(1 << 16, dtype=np.uint32)
    bf16 = (every << 16).view(np.float32)
    ties = (every << 16 | 0x8000).view(np.float32)
    beside = (every << 16 | 0x7FFF).view(np.float32)
    fp16 = every.astype(np.uint16).view(np.float16).astype(np.float32)
    random = np.random.default_rng(0)
    bits = random.integers(0, 1 << 32, COUNT // 2, dtype=np.uint32).view(np.float32)
    normal = (random.standard_normal(COUNT - COUNT // 2) * 4).astype(np.float32)
    return np.concatenate([bf16, ties, beside, fp16, bits, normal])


def golden():
    """The numbers of golden_test.cpp, and each format's codes of them."""
    state, bits = 1, []
    for _ in range(48):
        state = (state * 1664525 + 1013904223) % 2**32
        bits.append((state & 0x80000000) | (111 + (state >> 26 & 31)) << 23 | (state & 0x7C0000))
    x = np.array(bits, np.uint32).view(np.float32)
    for name, peer in PEERS.items():
        if name == "fp16":  # ml_dtypes has none
            continue
        codes = x.astype(peer).view(np.uint8 if np.dtype(peer).itemsize == 1 else np.uint16)
        digits = 2 * np.dtype(peer).itemsize
        print(f'{{"{name}", "{"".join(f"{c:0{digits}x}" for c in codes)}"}},')


def main():
    if PROGRAM == "--golden":
        return golden()
    compared = differ = 0
    x = inputs()
    with np.errstate(all="ignore"):
        for name, peer in PEERS.items():
            bits = np.dtype(peer).itemsize * 8
            theirs = x.astype(peer).view(np.uint8 if bits == 8 else np.uint16).astype(np.uint16)
            codes = ours("encode", name, x, np.uint16)
            wrong = codes != theirs
            if name in ("fp16", "bf16"):  # payloads of NaN are the hardware's there
                wrong &= ~np.isnan(x)
            every = np.arange(1 << {"e3m2": 6, "e2m3": 6, "e2m1": 4}.get(name, bits), dtype=np.uint16)
            values = every.astype(np.uint8 if bits == 8 else np.uint16).view(peer).astype(np.float32)
            decoded = ours("decode", name, every, np.float32)
            wrong_values = ~((decoded == values) | (np.isnan(decoded) & np.isnan(values) & (np.signbit(decoded) == np.signbit(values))))
            compared += len(x) + len(every)
            differ += int(wrong.sum() + wrong_values.sum())
            print(f"{name}: {len(x)} encoded, {int(wrong.sum())} differ; "
                  f"{len(every)} decoded, {int(wrong_values.sum())} differ")
            for at in np.flatnonzero(wrong)[:3]:
                print(f"  {x[at]!r}: expected code {theirs[at]:#x}, found {codes[at]:#x}")
    print(f"{compared} compared, {differ} differ")
    return 1 if differ else 0


sys.exit(main())
