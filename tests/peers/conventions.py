"""Scale, zero point and codes of the conventions against the tools they are named after: ONNX
Runtime's quantization tool, its operators, and, where torch is installed, PyTorch's observers."""
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.quantization import quant_utils

PROGRAM = sys.argv[1]
TENSORS = 1000
COLS = 96
counts = [0, 0]


def tensors():
    """A row each: all kinds of ranges, tiny and huge, one-sided, constant, with ties."""
    random = np.random.default_rng(3)
    rows = []
    for i in range(TENSORS):
        scale = 10.0 ** random.uniform(-12, 12)
        kind = i % 10
        x = random.standard_normal(COLS) * scale
        if kind == 1:
            x = np.abs(x)
        elif kind == 2:
            x = -np.abs(x) - scale
        elif kind == 3:
            x = random.uniform(3, 4, COLS) * scale
        elif kind == 4:
            x = random.integers(-5, 6, COLS) * 0.5
        elif kind == 5:
            x = np.full(COLS, random.standard_normal() * scale)
        elif kind == 6:
            x = random.standard_t(1, COLS)
        elif kind == 7:
            x[random.integers(COLS)] = 60 * scale
        elif kind == 8 and i % 100 == 8:
            x = np.zeros(COLS)
        elif kind == 9:
            x = x * 1e-30
        rows.append(x)
    return np.array(rows).astype(np.float32)


def ours(scheme, x):
    done = subprocess.run([PROGRAM, "quantize", scheme, str(x.shape[1])], input=x.tobytes(),
                          stdout=subprocess.PIPE, check=True)
    params = np.frombuffer(done.stdout[: 8 * len(x)], np.dtype([("s", "<f4"), ("z", "<i4")]))
    return params["s"], params["z"], np.frombuffer(done.stdout[8 * len(x):], "<i4").reshape(x.shape)


def report(scheme, peer, x, theirs):
    scales, zeros, codes = ours(scheme, x)
    wrong = [i for i, (s, z, c) in enumerate(theirs)
             if np.float32(s) != scales[i] or int(z) != zeros[i] or (c.astype(np.int32) != codes[i]).any()]
    counts[0] += len(theirs)
    counts[1] += len(wrong)
    print(f"{scheme} and {peer}: {len(theirs)} tensors, {len(wrong)} differ")
    for i in wrong[:3]:
        s, z, c = theirs[i]
        print(f"  tensor {i}, {x[i].min()} to {x[i].max()}: expected scale {s!r}, zero point {z}, found "
              f"{scales[i]!r}, {zeros[i]}; {int((c.astype(np.int32) != codes[i]).sum())} codes differ")


def tool(x):
    kinds = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16,
             "uint16": TensorProto.UINT16, "int4": TensorProto.INT4, "uint4": TensorProto.UINT4}
    for name, kind in kinds.items():
        for mapping, symmetric in (("affine", False), ("sym", True)):
            theirs = []
            for row in x:
                zero, scale, codes = quant_utils.quantize_data(row, kind, symmetric)[-3:]
                theirs.append((scale, np.asarray(zero).astype(np.int32), np.asarray(codes)))
            report(f"{name}:{mapping}:channel@onnxruntime", "onnxruntime's tool", x, theirs)


def session(node, inputs, outputs):
    graph = helper.make_graph([node], "g",
                              [helper.make_tensor_value_info(n, t, None) for n, t in inputs],
                              [helper.make_tensor_value_info(n, t, None) for n, t in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def operators(x):
    dynamic = session(helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"]),
                      [("x", TensorProto.FLOAT)],
                      [("y", TensorProto.UINT8), ("s", TensorProto.FLOAT), ("z", TensorProto.UINT8)])
    theirs = []
    for row in x:
        y, s, z = dynamic.run(None, {"x": row})
        theirs.append((s, z, y))
    report("uint8:channel@onnx", "onnxruntime's DynamicQuantizeLinear", x, theirs)
    for name, kind, numpy_type in (("int8", TensorProto.INT8, np.int8),
                                   ("uint8", TensorProto.UINT8, np.uint8),
                                   ("int16", TensorProto.INT16, np.int16)):
        for convention in ("onnx", "onnxruntime"):
            scheme = f"{name}:channel@{convention}"
            scales, zeros, _ = ours(scheme, x)
            quantize = session(helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"]),
                               [("x", TensorProto.FLOAT), ("s", TensorProto.FLOAT), ("z", kind)],
                               [("y", kind)])
            theirs = [(s, z, quantize.run(None, {"x": row, "s": np.array(s), "z": np.array(z, numpy_type)})[0])
                      for row, s, z in zip(x, scales, zeros)]
            report(scheme, "onnxruntime's QuantizeLinear", x, theirs)


def torch_observers(x):
    """With their ranges as they are by default: a custom quant_min and quant_max, even the same ones,
    moves the zero point of symmetric quint8 from 128 to 127."""
    try:
        import torch
        from torch.ao.quantization import observer
    except ImportError:
        print("torch is not installed: @torch is not compared")
        return
    warnings.filterwarnings("ignore", module="torch")
    warnings.filterwarnings("ignore", message=".*deprecated.*")
    for name, dtype in (("int8", torch.qint8), ("uint8", torch.quint8)):
        for mapping, each, by_channel in (
                ("affine", torch.per_tensor_affine, torch.per_channel_affine),
                ("sym", torch.per_tensor_symmetric, torch.per_channel_symmetric)):
            theirs = []
            for row in x:
                seen = observer.MinMaxObserver(dtype=dtype, qscheme=each)
                tensor = torch.from_numpy(row.copy())
                seen(tensor)
                scale, zero = seen.calculate_qparams()
                codes = torch.quantize_per_tensor(tensor, float(scale), int(zero), dtype).int_repr()
                theirs.append((scale.numpy()[0], int(zero), codes.numpy()))
            report(f"{name}:{mapping}:channel@torch", "torch's MinMaxObserver", x, theirs)
            seen = observer.PerChannelMinMaxObserver(ch_axis=0, dtype=dtype, qscheme=by_channel)
            tensor = torch.from_numpy(x.copy())
            seen(tensor)
            scales, zeros = seen.calculate_qparams()
            codes = torch.quantize_per_channel(tensor, scales, zeros, 0, dtype).int_repr().numpy()
            theirs = [(s, int(z), c) for s, z, c in zip(scales.numpy(), zeros.numpy(), codes)]
            report(f"{name}:{mapping}:channel@torch", "torch's PerChannelMinMaxObserver", x, theirs)


def main():
    x = tensors()
    tool(x)
    operators(x)
    torch_observers(x)
    print(f"{counts[0]} compared, {counts[1]} differ")
    return 1 if counts[1] else 0


sys.exit(main())
