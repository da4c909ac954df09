"""Block formats: ggml's against the gguf package, MX against microxcaling's definition, written out
again in numpy (its package needs PyTorch), NVFP4 against the same with an e4m3 scale."""
import subprocess
import sys

import gguf
import ml_dtypes
import numpy as np

COLS = 256
QT = gguf.GGMLQuantizationType
GGML = {"q8_0": QT.Q8_0, "q4_0": QT.Q4_0, "q4_1": QT.Q4_1, "q5_0": QT.Q5_0, "q5_1": QT.Q5_1}
# element type, its largest power of two, fraction bits, largest number
MX = {
    "mxfp8": (ml_dtypes.float8_e4m3fn, 8, 3, 448.0, 8),
    "mxfp8-e5m2": (ml_dtypes.float8_e5m2, 15, 2, 57344.0, 8),
    "mxfp6": (ml_dtypes.float6_e3m2fn, 4, 2, 28.0, 6),
    "mxfp6-e2m3": (ml_dtypes.float6_e2m3fn, 2, 3, 7.5, 6),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2, 1, 6.0, 4),
    "mxint8": (None, 0, 6, 127 / 64, 8),
}
counts = [0, 0]


def run(words, data):
    return subprocess.run([sys.argv[1], *words], input=data, stdout=subprocess.PIPE, check=True).stdout


def report(name, theirs, ours, x=None):
    wrong = int((theirs != ours).sum())
    counts[0] += theirs.size
    counts[1] += wrong
    print(f"{name}: {theirs.size} compared, {wrong} differ")
    for at in np.argwhere(theirs != ours)[:3]:
        at = tuple(at)
        print(f"  at {at}: expected {theirs[at]!r}, found {ours[at]!r}")


def tensors():
    """fp16 scales hold numbers up to 65504; beyond, ggml's blocks are refused."""
    for x in awkward():
        yield np.clip(x, -6e4, 6e4).astype(np.float32)


def awkward():
    random = np.random.default_rng(1)
    for scale in (1, 1e-3, 300, 1e-7, 3e4):
        yield (random.standard_normal((400, COLS)) * scale).astype(np.float32)
        yield (random.standard_t(2, (400, COLS)) * scale).astype(np.float32)
        yield (random.integers(-8, 9, (200, COLS)) * scale).astype(np.float32)
    yield np.zeros((3, COLS), np.float32)
    yield np.full((3, COLS), -2.5, np.float32)
    wide = random.standard_normal((400, COLS)) * 2.0 ** random.integers(-30, 12, (400, COLS))
    yield wide.astype(np.float32)


def wide():
    """Any finite float32; what ggml's scales do not hold, but MX's and NVFP4's do."""
    random = np.random.default_rng(2)
    bits = random.integers(0, 2**32, (400, COLS), dtype=np.uint32).view(np.float32)
    yield np.where(np.isfinite(bits), bits, np.float32(1))
    for scale in (1e37, 1e30, 1e-30, 1e-37, 1e-38, 1e-40, 1e-44):
        yield (random.standard_normal((400, COLS)) * scale).astype(np.float32)
    # Blocks around every power of two, so near to it that the scale rules turn there.
    near = 1 + random.integers(-4, 5, (512, COLS)) * 2.0**-23
    yield np.float32(np.ldexp(near, np.resize(np.arange(-149, 127), 512)[:, None]))
    yield np.full((3, COLS), np.finfo(np.float32).max)
    yield np.full((3, COLS), -np.finfo(np.float32).smallest_subnormal)


def elements(v, kind, rounding):
    """Numbers in units of the shared scale, rounded to the element's grid and clamped."""
    peer, _, fraction, largest, _ = kind
    with np.errstate(divide="ignore"):
        power = np.floor(np.log2(np.abs(v), where=v != 0, out=np.full_like(v, -200)))
    least = {ml_dtypes.float8_e4m3fn: -6, ml_dtypes.float8_e5m2: -14, ml_dtypes.float6_e3m2fn: -2}.get(peer, 0)
    step = 2.0 ** (np.maximum(power, least) - fraction)
    whole = np.abs(v) / step
    rounded = np.floor(whole + 0.5) if rounding == "half-away" else np.rint(whole)
    return np.sign(v) * np.minimum(rounded * step, largest)


def shared_power(most, kind, rule):
    _, emax, fraction, largest, _ = kind
    m = np.where(most == 0, 2.0**-126, most)
    mantissa, exponent = np.frexp(m)
    power = exponent - 1
    if rule == "ceil":
        power = power + (mantissa > 0.5)
    elif rule == "even":
        # What torchao adds to the bits of a normal float32: half of the last fraction bit.
        power = np.frexp(m + np.ldexp(0.5, power - fraction))[1] - 1
    elif rule == "rceil":
        mantissa, exponent = np.frexp(m / largest)
        return np.where(most == 0, -127, np.clip(exponent - 1 + (mantissa > 0.5), -127, 127))
    return np.where(most == 0, -127, np.clip(power - emax, -127, 127))


def nvfp4_scales(x):
    whole = np.abs(x).max() / np.float32(2688)
    whole = max(whole, np.float32(2.0**-126)) if x.any() else np.float32(1)
    wanted = np.abs(x.reshape(-1, 16)).max(axis=1) / np.float32(6) / whole
    return whole, np.minimum(wanted, 448).astype(ml_dtypes.float8_e4m3fn)


def nvfp4_elements(x, whole, codes):
    """In units of the scales, as e2m1; 0 where a scale is 0."""
    scale = codes.astype(np.float32) * whole
    safe = np.where(scale > 0, scale, 1)[:, None].astype(np.float32)
    with np.errstate(over="ignore"):
        quotient = x.reshape(-1, 16) / safe
    units = np.clip(quotient, -6, 6).astype(ml_dtypes.float4_e2m1fn)
    return np.where(scale[:, None] > 0, units, ml_dtypes.float4_e2m1fn(0)), scale[:, None]


def compare_ggml(number, x):
    for name, kind in GGML.items():
        theirs = gguf.quants.quantize(x, kind)
        raw = run(["blocks", name, str(COLS), "floor", "half-even"], x.tobytes())
        ours = np.frombuffer(raw[4:], np.uint8).reshape(theirs.shape)
        report(f"{name} bytes, tensor {number}", theirs, ours)
        back = np.frombuffer(run(["unblocks", name, str(COLS)], raw), np.float32).reshape(x.shape)
        report(f"{name} numbers, tensor {number}", gguf.quants.dequantize(theirs, kind), back)


def compare_mx(number, x, name, rule, rounding):
    kind = MX[name]
    raw = run(["blocks", name, str(COLS), rule, rounding], x.tobytes())
    back = np.frombuffer(run(["unblocks", name, str(COLS)], raw), np.float32)
    blocks = x.astype(np.float64).reshape(-1, 32)
    power = shared_power(np.abs(blocks).max(axis=1), kind, rule)
    scales = np.frombuffer(raw[4:], np.uint8).reshape(len(blocks), -1)[:, 0]
    report(f"{name} {rule} scales, tensor {number}", power + 127, scales.astype(np.int64))
    scale = 2.0 ** power[:, None]
    with np.errstate(over="ignore"):  # 2^128, of the largest float32 rounded up
        theirs = (elements(blocks / scale, kind, rounding) * scale).astype(np.float32)
    report(f"{name} {rule} {rounding}, tensor {number}", theirs, back.reshape(theirs.shape))


def main():
    ordinary = list(tensors())
    for number, x in enumerate(ordinary + list(wide())):
        if number < len(ordinary):
            compare_ggml(number, x)
        for name in MX:
            for rule in ("floor", "ceil", "even", "rceil"):
                for rounding in ("half-even", "half-away"):
                    compare_mx(number, x, name, rule, rounding)
        raw = run(["blocks", "nvfp4", str(COLS), "floor", "half-even"], x.tobytes())
        back = np.frombuffer(run(["unblocks", "nvfp4", str(COLS)], raw), np.float32)
        whole, codes = nvfp4_scales(x)
        units, scale = nvfp4_elements(x, whole, codes)
        theirs = units.astype(np.float32) * scale
        report(f"nvfp4, tensor {number}", theirs, back.reshape(theirs.shape))
    print(f"{counts[0]} compared, {counts[1]} differ")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
