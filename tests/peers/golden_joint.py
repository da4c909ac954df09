"""Writes tests/formats/joint_golden.txt: blocks of nested lattices and of trellis codes, by definitions
of this file's own, from the descriptions in src/formats/nest.hpp and trellis.hpp. Numbers are read by
numpy's float32; lattice points are found by trying all that are near, in float64.
build/peers/python/bin/python tests/peers/golden_joint.py > tests/formats/joint_golden.txt"""
import itertools

import numpy as np

BLOCK = 512
BETAS = {2: (0.72, -0.9, 1.1, -1.4), 3: (0.38, 0.48, -0.57, 0.72), 4: (0.195, 0.245, -0.295, 0.38)}
SHRINKS = (1, 0.95, 0.9, 0.85, 0.8, 0.75)
STATE_BITS = 13
UNIT = np.float32(1024)
BASIS = np.zeros((8, 8))
BASIS[0, 0] = 2
for row in range(1, 7):
    BASIS[row, row], BASIS[row, row - 1] = 1, -1
BASIS[7] = 0.5
UPS = np.array(list(itertools.product((0, 1), repeat=8)))


def bf16(x):
    bits = int(np.float32(x).view(np.uint32))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def of_bf16(code):
    return np.uint32(code << 16).view(np.float32)


def nearest_with_ties(x):
    """Which of several nearest points, the definition says: halves to even, the first furthest, up."""
    found = []
    for moved in (0, 0.5):
        point = np.rint(x - moved)
        if point.sum() % 2:
            off = x - moved - point
            which = np.argmax(np.abs(off))
            point[which] += -1 if off[which] < 0 else 1
        found.append(point + moved)
    return min(found, key=lambda point: ((x - point) ** 2).sum())


def nearest(x):
    candidates = np.concatenate([np.floor(x - moved) + UPS + moved for moved in (0, 0.5)])
    candidates = candidates[candidates.sum(axis=1) % 2 == 0]
    return candidates[((candidates - x) ** 2).sum(axis=1).argmin()]


def nest_point(codes, bits):
    point = codes @ BASIS
    return point - 2**bits * nearest_with_ties(point / 2**bits)


def packed(codes, bits):
    flat = (np.asarray(codes)[:, None] >> np.arange(bits)) & 1
    return np.packbits(flat.ravel().astype(np.uint8), bitorder="little")


def unpacked(data, bits):
    flat = np.unpackbits(data, bitorder="little").reshape(-1, bits)
    return flat.astype(np.int64) @ (1 << np.arange(bits))


def nest_decoded(data, bits):
    scale = of_bf16(int(data[0]) | int(data[1]) << 8)
    betas = unpacked(data[2:18], 2)
    codes = unpacked(data[18:], bits).reshape(-1, 8)
    steps = np.array(BETAS[bits], np.float32)[betas] * scale
    points = np.array([nest_point(code, bits) for code in codes], np.float32)
    return (points * steps[:, None]).ravel()


def nest_search(y, bits):
    best = (np.inf,)
    for which, beta in enumerate(np.float32(BETAS[bits]).astype(np.float64)):
        for shrink in SHRINKS:
            point = nearest(y / beta * shrink)
            code = np.rint(point @ np.linalg.inv(BASIS)).astype(np.int64) % 2**bits
            back = nest_point(code, bits)
            error = ((y - back * beta) ** 2).sum()
            if error < best[0]:
                best = (error, which, code, back * beta)
            if (back == point).all():
                break
    return best[1:]


def nest_encoded(x, bits):
    x = np.resize(x, BLOCK).astype(np.float64)
    longest = np.sqrt((x.reshape(-1, 8) ** 2).sum(axis=1).max())
    wanted, least, result = np.sqrt((x**2).mean()), np.inf, None
    while True:
        scale = float(of_bf16(bf16(wanted)))
        which, codes, values = zip(*(nest_search(y, bits) for y in x.reshape(-1, 8) / scale))
        values = np.concatenate(values)
        fit = bf16(x @ values / (values @ values))
        error = ((x - values * float(of_bf16(fit))) ** 2).sum()
        if error < least:
            least = error
            head = np.array([fit & 0xFF, fit >> 8], np.uint8)
            result = np.concatenate([head, packed(which, 2), packed(np.concatenate(codes), bits)])
        if wanted * 2**bits * abs(BETAS[bits][3]) * 0.85 >= longest:
            return result
        wanted *= 1.5


def trellis_decoded(data, bits):
    scale = of_bf16(int(data[0]) | int(data[1]) << 8)
    ring = np.unpackbits(data[2:], bitorder="little").astype(np.int64)
    places = (np.arange(BLOCK)[:, None] * bits + np.arange(STATE_BITS)) % ring.size
    digits = ring[places]
    number = lambda part: part @ (1 << np.arange(part.shape[1]))
    first, middle, last = number(digits[:, :bits]), number(digits[:, bits:-bits]), number(digits[:, -bits:])
    turn = 2**32
    angle = (middle * 0x9E3779B1 + 0x7F4A7C15) % turn
    angle = ((angle ^ angle >> 15) * 0x85EBCA6B) % turn
    angle = (angle + turn * last // 2**bits + first * (turn // 2**bits + turn // 2 ** (2 * bits + 1))) % turn
    u = np.where(angle < turn // 2, angle, angle - turn).astype(np.float32) * np.float32(2.0**-31)
    a, b, c = (np.float32(factor) * UNIT for factor in (1.2761, 0.8576, 1.3))
    u4 = (u * u) * (u * u)
    u64 = np.maximum(u4 * u4, np.float32(2.0**-12))
    for _ in range(3):
        u64 = u64 * u64
    values = np.rint(u * (a + b * u4 + c * u64))
    return values / UNIT * scale


print("# By tests/peers/golden_joint.py. Bytes are little-endian.")
print("# what is checked, format, block, float32 values")
random = np.random.default_rng(11)
for bits in (2, 3, 4):
    for name, size, decoded in (
        (f"nest{bits}", 18 + 64 * bits, nest_decoded),
        (f"trellis{bits}", 2 + 64 * bits, trellis_decoded),
    ):
        data = random.integers(0, 256, size, dtype=np.uint8)
        data[:2] = [0x2B, 0x3E]
        numbers = decoded(data, bits)
        assert numbers.dtype == np.float32
        print("decode", name, data.tobytes().hex(), numbers.tobytes().hex())
for bits in (2, 3, 4):
    values = random.standard_normal(96)
    for x in (values, values * np.where(np.arange(96) % 31 == 5, 20, 1) * 1e-3):
        x = x.astype(np.float32)
        print("encode", f"nest{bits}", nest_encoded(x, bits).tobytes().hex(), x.tobytes().hex())
