"""Codes of zeropoint's floating-point formats beside ml_dtypes' (and numpy's fp16).

For each format: every fp16 and bf16 number, every tie and its neighbours, random floats of any bits
and of ordinary sizes, encoded; saturating, against the same numbers clipped beforehand; every code
decoded. One line a comparison, and how many there were; the exit status is 1 if any differs.
--golden prints what tests/formats/golden_test.cpp holds, by ml_dtypes alone.
"""

import argparse
import subprocess
import sys

import ml_dtypes
import numpy as np

FORMATS = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e4m3ieee": ml_dtypes.float8_e4m3,
    "e3m4": ml_dtypes.float8_e3m4,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}
BITS = {"fp16": 16, "bf16": 16, "e3m2": 6, "e2m3": 6, "e2m1": 4}


def codes_of(values):
    return values.view(np.uint16 if values.dtype.itemsize == 2 else np.uint8)


def all_values(name):
    bits = BITS.get(name, 8)
    word = np.uint16 if bits > 8 else np.uint8
    return np.arange(1 << bits, dtype=np.uint32).astype(word).view(FORMATS[name])


def ties(name):
    """Numbers of the format, halfway between them, and the floats beside these."""
    numbers = all_values(name).astype(np.float64)
    numbers = np.unique(numbers[np.isfinite(numbers)])
    middles = np.concatenate([numbers, (numbers[1:] + numbers[:-1]) / 2])
    # Beyond the largest by half of the last step, too.
    step = numbers[-1] - numbers[-2]
    middles = np.concatenate([middles, [numbers[-1] + step / 2, -numbers[-1] - step / 2, 1.5 * numbers[-1]]])
    with np.errstate(over="ignore"):
        middles = middles.astype(np.float32)
        return np.concatenate(
            [middles, np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))]
        )


def both_nan(mine, theirs):
    """Where both are NaNs of fp16, with the same sign."""
    return ((mine & 0x7FFF) > 0x7C00) & ((theirs & 0x7FFF) > 0x7C00) & (mine >> 15 == theirs >> 15)


def random_floats(count):
    rng = np.random.default_rng(20261124)
    bits = rng.integers(0, 1 << 32, count // 2, dtype=np.uint32).view(np.float32)
    sizes = rng.standard_normal(count - count // 2) * np.exp2(rng.uniform(-20, 20, count - count // 2))
    return np.concatenate([bits, sizes.astype(np.float32)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", help="peer_formats")
    parser.add_argument("--random", type=int, default=10_000_000, help="random floats (10,000,000)")
    parser.add_argument("--golden", action="store_true", help="print the golden codes instead")
    options = parser.parse_args()
    np.seterr(all="ignore")
    if options.golden:
        return golden()

    compared = differ = 0

    def compare(what, mine, theirs, inputs, same=None):
        nonlocal compared, differ
        wrong = np.flatnonzero(~(same if same is not None else mine == theirs))
        compared += len(mine)
        differ += len(wrong)
        line = f"{what}: {len(mine)} compared, {len(wrong)} differ"
        if len(wrong):
            i = wrong[0]
            line += f"; first: {inputs[i]!r}, zeropoint {mine[i]!r}, expected {theirs[i]!r}"
        print(line, flush=True)

    def zeropoint(verb, name, values):
        done = subprocess.run([options.program, verb, name], input=values.tobytes(), stdout=subprocess.PIPE, check=True)
        if verb == "decode":
            return np.frombuffer(done.stdout, np.float32)
        return np.frombuffer(done.stdout, np.uint16 if BITS.get(name, 8) > 8 else np.uint8)

    halves = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16)
    random = random_floats(options.random)
    for name, dtype in FORMATS.items():
        sets = {
            "every fp16": halves.view(np.float16),
            "every bf16": halves.view(ml_dtypes.bfloat16),
            "ties": ties(name),
            f"{len(random)} random floats": random,
        }
        for title, inputs in sets.items():
            x = inputs.astype(np.float32)
            mine = zeropoint("encode", name, x)
            theirs = codes_of(x.astype(dtype))
            same = mine == theirs
            if name == "fp16":  # numpy keeps signalling NaNs; zeropoint, as processors do, makes them quiet
                same |= both_nan(mine, theirs)
            compare(f"{name} from {title}", mine, theirs, x, same)
            if inputs.dtype not in (np.float32, dtype):  # without the way through float32
                theirs = codes_of(inputs.astype(dtype))
                same = mine == theirs
                if name == "fp16" or inputs.dtype == np.float16 and name == "bf16":
                    same |= np.isnan(x)
                compare(f"{name} from {title}, directly", mine, theirs, x, same)

            numbers = all_values(name).astype(np.float32)
            numbers = numbers[np.isfinite(numbers)]
            low = np.float32(2.0**-127) if name == "e8m0" else numbers.min()
            clipped = np.clip(x, low, numbers.max())
            if name == "e8m0":
                clipped[x < 0] = -1
            theirs = codes_of(clipped.astype(dtype))
            mine = zeropoint("saturate", name, x)
            same = mine == theirs
            if name == "fp16":
                same |= both_nan(mine, theirs)
            compare(f"{name} from {title}, saturating", mine, theirs, x, same)
        values = all_values(name)
        mine = zeropoint("decode", name, codes_of(values))
        theirs = values.astype(np.float32)
        nan = np.isnan(mine) & np.isnan(theirs) & (np.signbit(mine) == np.signbit(theirs))
        compare(f"{name}, every code decoded", mine, theirs, codes_of(values), (mine.view(np.uint32) == theirs.view(np.uint32)) | nan)
    print(f"{compared} compared, {differ} differ")
    return 1 if differ else 0


def golden():
    """Codes of 48 floats, from a congruential generator; many are ties."""
    for name, dtype in FORMATS.items():
        if name == "fp16":
            continue
        state, bits = 1, []
        for _ in range(48):
            state = (state * 1664525 + 1013904223) % (1 << 32)
            # Exponents from 2^-16 to 2^15: what narrow formats hold, and beyond.
            bits.append((state & 0x80000000) | (111 + (state >> 26 & 31)) << 23 | (state & 0x7FFFFF) & ~0x3FFFF)
        x = np.array(bits, np.uint32).view(np.float32)
        print(f'    {{"{name}",')
        text = "".join(f"{code:0{codes_of(x.astype(dtype)).itemsize * 2}x}" for code in codes_of(x.astype(dtype)))
        for at in range(0, len(text), 88):
            print(f'     "{text[at:at + 88]}"' + ("" if at + 88 < len(text) else "},"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
