"""Writes tests/quantize/convention_golden.txt: scale, zero point and codes of fbgemm, gemmlowp and ggml,
by definitions of this file's own, from FBGEMM's QuantUtils.cc (ChooseQuantizationParams) and QuantUtils.h
(Quantize, LEGACY), gemmlowp's quantization_example.cc and ggml's quantize_row_q8_0_ref. float32 is
float64 rounded once, which for +, -, *, / is what float32 gives.
python3 tests/peers/golden_conventions.py > tests/quantize/convention_golden.txt"""
import math
import random
import struct

SMALLEST = 2**-126
LARGEST = 3.4028234663852886e38
CUTOFF = 6.1e-5


def f32(x):
    if math.isnan(x) or math.isinf(x):
        return x
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def inverse(scale):
    return f32(1 / scale) if scale else math.inf


def half_away(x):
    return math.copysign(math.floor(abs(x) + 0.5), x) if abs(x) < 2**52 else x


def fbgemm(low, high, qmin, qmax, preserve_sparsity=False):
    if low < 0 < high and preserve_sparsity:
        symmetric_qmin, symmetric_qmax = -((qmax - qmin) // 2 + 1), (qmax - qmin) // 2
        most = max(abs(f32(low / symmetric_qmin)), abs(f32(high / symmetric_qmax)))
        low, high = f32(most * symmetric_qmin), f32(most * symmetric_qmax)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = f32((high - low) / (qmax - qmin))
    if scale == 0 or math.isinf(inverse(scale)):
        scale = f32(0.1)
    cutoff = f32(CUTOFF)
    if scale < cutoff:
        original, scale = scale, cutoff
        if low == 0:
            high = f32(cutoff * (qmax - qmin))
        elif high == 0:
            low = f32(-cutoff * (qmax - qmin))
        else:
            amplifier = f32(cutoff / original)
            low, high = f32(low * amplifier), f32(high * amplifier)
    from_low, from_high = qmin - low / scale, qmax - high / scale
    is_low = abs(qmin) + abs(low / scale) < abs(qmax) + abs(high / scale)
    zero = from_low if is_low else from_high
    if low < 0 < high and preserve_sparsity:
        zero = (qmin + qmax) / 2
    zero = qmin if zero < qmin else qmax if zero > qmax else round(zero)

    def code(x):
        moved = f32(f32(x * inverse(scale)) + zero)
        return max(qmin, min(qmax, round(moved)))
    return scale, zero, code


def gemmlowp(low, high, qmin, qmax):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = f32(f32(high - low) / (qmax - qmin))
    zero = qmin - low / scale
    zero = qmin if zero < qmin else qmax if zero > qmax else int(half_away(zero))

    def code(x):
        moved = f32(zero + f32(x / scale))
        return int(half_away(max(qmin, min(qmax, moved))))
    return scale, zero, code


def ggml(low, high, qmin, qmax):
    scale = f32(max(-low, high) / 127)  # which ggml stores in fp16 after the codes are made

    def code(x):
        return int(half_away(f32(x * inverse(scale))))
    return scale, 0, code


def row(name, rule, low, high, qmin, qmax, source, **options):
    scale, zero, code = rule(low, high, qmin, qmax, **options)
    inside = [low, high, 0.0] + [f32(source.uniform(low, high)) for _ in range(4)]
    # Halves of steps, where rules of rounding differ.
    inside += [f32((k + 0.5) * scale) for k in (source.randint(-60, 60), source.randint(-60, 60))]
    inside = [x for x in inside if low <= x <= high]
    numbers = " ".join(f"{x.hex()} {code(x)}" for x in inside)
    print(name, low.hex(), high.hex(), scale.hex(), zero, numbers)


def main():
    source = random.Random(5)
    ranges = [(-1, 2), (-3, 0), (0, 5), (0.5, 4), (-7, -2), (-0.3, 0.1), (-1e-3, 2e-3), (-1e-3, 0),
              (0, 1e-3), (-1e-30, 3e-30), (-2e-37, 1e-37), (-1e37, 3e37), (-LARGEST, LARGEST),
              (-1.28, 1.27), (-1, 1), (-127, 127)]
    ranges += [(-source.expovariate(1), source.expovariate(1)) for _ in range(8)]
    unsigned, signed = (0, 255), (-128, 127)
    for low, high in [(f32(low), f32(high)) for low, high in ranges]:
        for sign, (qmin, qmax) in (("unsigned", unsigned), ("signed", signed)):
            row(f"fbgemm:sign={sign}", fbgemm, low, high, qmin, qmax, source)
            if low < 0 < high < LARGEST:  # where FBGEMM's scale would be infinite
                row(f"fbgemm:mapping=symmetric:sign={sign}", fbgemm, low, high, qmin, qmax, source,
                    preserve_sparsity=True)
        # Where max - min is a float32, and the scale no subnormal number, which zeropoint does not keep.
        if high < 1e38 and max(high, 0) - min(low, 0) > 255 * SMALLEST:
            row("gemmlowp:sign=unsigned", gemmlowp, low, high, *unsigned, source)
        if max(-low, high) > 1e-30:  # below, 1/scale is none that ggml guards against
            row("ggml", ggml, low, high, -127, 127, source)
    for sign, (qmin, qmax) in (("unsigned", unsigned), ("signed", signed)):
        row(f"fbgemm:sign={sign}", fbgemm, 0.0, 0.0, qmin, qmax, source)
        row(f"fbgemm:sign={sign}", fbgemm, 0.0, f32(1e-42), qmin, qmax, source)
        row(f"fbgemm:sign={sign}", fbgemm, f32(-5e-38), f32(5e-37), qmin, qmax, source)


main()
