"""int8 products of ONNX Runtime and PyTorch beside zeropoint's, at the same shapes.

Each shape is timed in turns: zeropoint (its own bench verb, for that shape alone), then each peer,
then again; what is printed are medians over the turns. Integer results of peers are held against
numpy's before they are timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

DEFAULT_SHAPES = ["64x64x64", "256x256x256", "1000x1000x1000", "128x768x3072", "1x4096x4096"]
ZERO_A, ZERO_B, ZERO_Y = 17, -5, 3
SCALE_A, SCALE_B = np.float32(0.01), np.float32(0.02)
BATCH_SECONDS = 0.02
TOO_LONG = 1  # a call that takes so many seconds is not repeated


class Case:
    """Operands of a shape, and the exact sums."""

    def __init__(self, m, k, n):
        random = np.random.default_rng(20240607)
        self.m, self.k, self.n = m, k, n
        self.a = random.integers(-128, 128, (m, k), dtype=np.int8)
        self.b = random.integers(-128, 128, (k, n), dtype=np.int8)
        # In float64, whose products are quick and, below 2^53, exact.
        self.sums = np.rint(
            (self.a.astype(np.float64) - ZERO_A) @ (self.b.astype(np.float64) - ZERO_B)
        ).astype(np.int64)
        self.plain_sums = np.rint(self.a.astype(np.float64) @ self.b.astype(np.float64)).astype(
            np.int64
        )
        self.float_a = SCALE_A * (self.a.astype(np.float32) - ZERO_A)
        self.float_b = SCALE_B * (self.b.astype(np.float32) - ZERO_B)
        self.scale_y = np.float32(SCALE_A * SCALE_B * 74 * 74 * np.sqrt(k) / 40)


def check_equal(found, expected, what, most=0):
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    if difference.max(initial=0) > most:
        i, j = np.unravel_index(difference.argmax(), difference.shape)
        sys.exit(f"compare.py: {what}, element ({i}, {j}): expected {expected[i, j]}, "
                 f"found {found[i, j]}")


def check_close(found, case, what):
    """What passes through 8 bits is right if it is wrong by their steps and no more."""
    exact = (SCALE_A * SCALE_B) * case.sums
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    if not error < 0.05:
        sys.exit(f"compare.py: {what}: expected a relative error below 0.05, found {error:.3g}")


# ---- ONNX Runtime ----

ONNX_TYPES = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.float32): TensorProto.FLOAT,
              np.dtype(np.int32): TensorProto.INT32, np.dtype(np.uint8): TensorProto.UINT8}


def onnx_runner(case, op, inputs, variable, output, threads, domain=""):
    """A session of one node: inputs named in `variable` are given at each call, others are
    constants, which the session may lay out before."""
    named = [(f"x{i}", np.asarray(value)) for i, value in enumerate(inputs)]
    infos = [helper.make_tensor_value_info(name, ONNX_TYPES[value.dtype], value.shape)
             for i, (name, value) in enumerate(named) if i in variable]
    constants = [numpy_helper.from_array(value, name)
                 for i, (name, value) in enumerate(named) if i not in variable]
    result = helper.make_tensor_value_info("y", ONNX_TYPES[np.dtype(output)], (case.m, case.n))
    node = helper.make_node(op, [name for name, _ in named], ["y"], domain=domain)
    graph = helper.make_graph([node], op, infos, [result], constants)
    imports = [helper.make_opsetid("", 21)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin would take the time of whoever is next in turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    y = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((case.m, case.n), output))
    for i, (name, value) in enumerate(named):
        if i in variable:
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_ortvalue_output("y", y)
    return lambda: session.run_with_iobinding(binding), y.numpy


def onnx_peers(case, threads):
    # A as uint8, 128 higher: the same product, by ONNX Runtime's fast way for x86.
    a = (case.a.astype(np.int16) + 128).astype(np.uint8)
    za, zb, zy = np.uint8(ZERO_A + 128), np.int8(ZERO_B), np.uint8(ZERO_Y + 128)
    codes = np.clip(
        np.rint(case.sums.astype(np.float32) * np.float32(SCALE_A * SCALE_B / case.scale_y))
        + ZERO_Y + 128, 0, 255)

    def integer(variable):
        run, y = onnx_runner(case, "MatMulInteger", [a, case.b, za, zb], variable, np.int32,
                             threads)
        return run, lambda what: check_equal(y(), case.sums, what)

    def linear(variable):
        run, y = onnx_runner(case, "QLinearMatMul",
                             [a, SCALE_A, za, case.b, SCALE_B, zb, case.scale_y, zy], variable,
                             np.uint8, threads)
        # The last bit of the multiplier decides a tie: one code.
        return run, lambda what: check_equal(y(), codes, what, most=1)

    def dynamic():
        run, y = onnx_runner(case, "DynamicQuantizeMatMul",
                             [case.float_a, case.b, SCALE_B, zb], {0}, np.float32, threads,
                             "com.microsoft")
        return run, lambda what: check_close(y(), case, what)

    def float32(variable):
        run, y = onnx_runner(case, "MatMul", [case.float_a, case.float_b], variable, np.float32,
                             threads)
        return run, lambda what: check_close(y(), case, what)

    return [
        ("onnxruntime MatMulInteger", "int8_int32", lambda: integer({0, 1})),
        ("  B constant", "int8_float32_packed", lambda: integer({0})),
        ("onnxruntime QLinearMatMul", "int8_int8", lambda: linear({0, 3})),
        ("  B constant", "int8_int8_packed", lambda: linear({0})),
        ("onnxruntime DynamicQuantizeMatMul", "dynamic_packed", dynamic),
        ("onnxruntime MatMul, float32", "onednn_fp32",
         lambda: float32({0, 1})),
    ]


# ---- PyTorch ----


def torch_peers(case, threads):
    import torch

    # Tensors of quantized types are on their way out of PyTorch; until then they are its products.
    warnings.filterwarnings("ignore", message=".*quantized tensor.*")
    torch.set_num_threads(threads)

    def int_mm():
        a, b = torch.from_numpy(case.a), torch.from_numpy(case.b)
        left = {}

        def run():
            left["y"] = torch._int_mm(a, b)

        return run, lambda what: check_equal(left["y"].numpy(), case.plain_sums, what)

    def linear(engine):
        torch.backends.quantized.engine = engine
        # Activations are uint8, of seven bits: with eight, fbgemm's sums of pairs may saturate.
        a = torch.quantize_per_tensor(torch.from_numpy(case.float_a), float(SCALE_A) * 2,
                                      64 + ZERO_A // 2, torch.quint8)
        weights = torch.quantize_per_tensor(
            torch.from_numpy(np.ascontiguousarray(case.float_b.T)), float(SCALE_B) * 1.1, 0,
            torch.qint8)
        packed = torch.ops.quantized.linear_prepack(weights, None)
        left = {}

        def run():
            left["y"] = torch.ops.quantized.linear(a, packed, float(case.scale_y), 128)

        def check(what):
            check_close(left["y"].dequantize().numpy(), case, what)

        return run, check

    peers = [("torch._int_mm, no zero points", "int8_int32", int_mm)]
    for engine in torch.backends.quantized.supported_engines:
        if engine != "none":
            peers.append((f"torch quantized linear, {engine}", "int8_int8_packed",
                          lambda engine=engine: linear(engine)))
    return peers


# ---- turns ----


def seconds_of(run):
    """Of a call, after some that are not timed."""
    for _ in range(8):  # until caches are as its own calls leave them
        run()
    start = time.perf_counter()
    run()
    calls = max(1, int(BATCH_SECONDS / max(time.perf_counter() - start, 1e-7)))
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def zeropoint_seconds(program, shape, threads, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(shape + "\n")
        file.flush()
        done = subprocess.run(
            [program, "bench", "--quick", "--shapes", file.name, "--threads", str(threads),
             "--seconds", str(seconds), "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare.py: {done.stderr.strip()}")
    return {row["contestant"]: row["seconds"]["median"]
            for row in json.loads(done.stdout)["products"]}


def compare(shape, options, rows):
    try:
        m, k, n = (int(size) for size in shape.split("x"))
    except ValueError:
        sys.exit(f"compare.py: expected a shape mxkxn, found '{shape}'")
    case = Case(m, k, n)
    listed = onnx_peers(case, options.threads)
    if not options.no_torch:
        listed += torch_peers(case, options.threads)
    peers = []
    for name, against, make in listed:
        try:
            run, check = make()
            start = time.perf_counter()
            run()
            first = time.perf_counter() - start
        except Exception as error:  # each library refuses in its own way
            reason = str(error).strip().splitlines()
            print(f"  {shape}, {name.strip()}: not here: {reason[0][:100] if reason else error!r}")
            continue
        check(f"{shape}, {name.strip()}")
        peers.append((name, against, run, first))
    own, theirs = [], [[] for _ in peers]
    for _ in range(options.turns):
        own.append(zeropoint_seconds(options.zeropoint, shape, options.threads, options.seconds))
        for (_, _, run, first), times in zip(peers, theirs):
            times.append(first if first > TOO_LONG else seconds_of(run))
    print(f"\n{shape}, {options.threads} thread{'s' if options.threads > 1 else ''}\n"
          f"  {'peer':<38} {'us':>10} {'Gop/s':>8}   {'beside zeropoint':<20} {'us':>10} "
          f"{'ratio':>7}")
    for (name, against, _, _), times in zip(peers, theirs):
        seconds = statistics.median(times)
        line = f"  {name:<38} {seconds * 1e6:>10.1f} {2e-9 * m * k * n / seconds:>8.1f}"
        row = {"m": m, "k": k, "n": n, "threads": options.threads, "peer": name.strip(),
               "seconds": seconds, "contestant": None, "ratio": None}
        if all(against in turn for turn in own):
            mine = statistics.median(turn[against] for turn in own)
            ratio = statistics.median(t / turn[against] for t, turn in zip(times, own))
            line += f"   {against:<20} {mine * 1e6:>10.1f} {ratio:>7.2f}"
            row.update(contestant=against, contestant_seconds=mine, ratio=ratio)
        print(line)
        rows.append(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zeropoint", required=True, help="the command")
    parser.add_argument("--shapes", default=",".join(DEFAULT_SHAPES), help="mxkxn,...")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of a turn of zeropoint's")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--json", help="results, to a file")
    options = parser.parse_args()
    versions = [f"onnxruntime {onnxruntime.__version__}"]
    if not options.no_torch:
        import torch

        versions.append(f"torch {torch.__version__}")
    print(", ".join(versions) + ". ratio: how many times as fast zeropoint is; a peer's call costs "
          "a few\nmicroseconds of Python. Integer results were held against numpy's.")
    rows = []
    for shape in options.shapes.split(","):
        compare(shape, options, rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
