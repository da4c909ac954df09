"""ONNX models that zeropoint wrote, in ONNX's checker and in ONNX Runtime.

  raised      graphs raised to a later operator set give what they gave before, bit for bit: small ones
              of every operator that changed, and models, where their files are there
  quantized   what ONNX Runtime makes of codes, scales and zero points is scale · (code − zero point)
  alone       the same from models whose outputs are the tensors themselves

One line a family, then how many were compared and differ; the exit status is 1 if any differs.
"""
import argparse
import collections
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

TARGETS = (13, 19, 21, 25)
counts = collections.defaultdict(lambda: [0, 0])


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not isinstance(model, str):
        model = model.SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feeds_of(session, seed):
    rng = np.random.default_rng(seed)
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(bool)": np.bool_, "tensor(int64)": np.int64}
    return {
        i.name: np.asarray(rng.standard_normal([d if isinstance(d, int) else 1 for d in i.shape]) * 2).astype(kinds[i.type])
        for i in session.get_inputs()
    }


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def count(family, good, what):
    counts[family][0] += 1
    counts[family][1] += not good
    if not good:
        print(f"{family}: {what} differs")


def is_checked(path):
    """Not where types or shapes of results are unknown to ONNX."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError:
        return False
    return True


class Peer:
    def __init__(self, program, folder):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, *words):
        done = subprocess.run([self.program, *map(str, words)], stderr=subprocess.PIPE, text=True)
        return done.stderr.strip() if done.returncode else None

    def raised(self, family, name, source, target, seed=1):
        out = self.folder / f"{family}_{target}.onnx"
        problem = self.run("raise", source, out, target)
        if problem:
            count(family, False, f"{name} to {target}: {problem}")
            return
        if is_checked(source):
            onnx.checker.check_model(str(out), full_check=True)
        before = session_of(str(source))
        try:
            after = session_of(str(out))
        except NotImplemented:
            counts[f"{family}, which ONNX Runtime lacks"][0] += 1
            return
        feeds = feeds_of(before, seed)
        for a, b in zip(before.run(None, feeds), after.run(None, feeds)):
            # From 19 on ONNX Runtime divides averages elsewhere.
            near = name.startswith("AveragePool") and np.allclose(a, b, rtol=0, atol=1e-6)
            count(family, near or same(a, b), f"{name} to {target}")


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def small_models():
    """(what, model): an operator as older sets have it."""

    def model(op, opset, inputs, shape=(2, 3, 4), outputs=1, extra=(), kind=TensorProto.FLOAT, out_kinds=None, **attributes):
        names = ["x", *(e.name for e in extra)] if inputs is None else inputs
        results = [f"y{i}" for i in range(outputs)]
        node = helper.make_node(op, names, results, name="n", **attributes)
        kinds = out_kinds or [kind] * outputs
        graph = helper.make_graph(
            [node], "g", [value("x", shape, kind)], [value(r, None, k) for r, k in zip(results, kinds)], list(extra)
        )
        shown = ", ".join(f"{k}={v}" for k, v in attributes.items())
        return f"{op} of {opset} ({shown})", helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4
        )

    def array(name, x):
        return numpy_helper.from_array(np.asarray(x), name)

    f32 = np.float32
    yield model("Squeeze", 11, None, (2, 1, 3, 1), axes=[1, -1])
    yield model("Squeeze", 7, None, (2, 1, 3, 1))
    yield model("Unsqueeze", 7, None, axes=[0, 2])
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"):
        yield model(op, 7, None, axes=[0, 2])
        yield model(op, 11, None, axes=[-1], keepdims=0)
        yield model(op, 9, None)
    yield model("Clip", 7, None, min=-0.5, max=0.75)
    yield model("Clip", 9, None, max=0.75)
    yield model("Clip", 10, None)
    yield model("Dropout", 7, None, ratio=0.3)
    yield model("Dropout", 10, None)
    yield model("Slice", 9, None, starts=[0, 1], ends=[1, 1000], axes=[0, 2])
    yield model("Slice", 7, None, starts=[0, 1, -3], ends=[2, -1, -1])
    yield model("Pad", 7, None, pads=[0, 1, 0, 1, 0, 2], value=1.5)
    yield model("Pad", 9, None, pads=[0, 1, 0, 1, 0, 2], mode="reflect")
    yield model("TopK", 9, None, outputs=2, k=3, out_kinds=[TensorProto.FLOAT, TensorProto.INT64])
    yield model("TopK", 7, None, outputs=2, k=1, axis=1, out_kinds=[TensorProto.FLOAT, TensorProto.INT64])
    yield model("Split", 9, None, (2, 6), outputs=2, axis=1)
    yield model("Split", 9, None, (2, 6), outputs=2, axis=1, split=[1, 5])
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        yield model(op, 9, None)
        yield model(op, 9, None, (3, 5))
        for opset, axis in itertools.product((9, 11), (0, 1, 2)):
            yield model(op, opset, None, axis=axis)
        yield model(op, 11, None, axis=-1)
        yield model(op, 11, None, axis=-2)
    yield model("BatchNormalization", 7, None, extra=[array(n, np.array([0.5, 1, 2], f32)) for n in "sbmv"])
    yield model("BatchNormalization", 9, None, extra=[array(n, np.array([0.5, 1, 2], f32)) for n in "sbmv"], epsilon=0.01)
    yield model("Upsample", 7, None, (1, 2, 3, 4), mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])
    yield model("Upsample", 7, None, (1, 2, 3, 4), mode="linear", scales=[1.0, 1.0, 2.0, 2.0])
    yield model("Upsample", 9, None, (1, 2, 3, 4), mode="nearest", extra=[array("s", np.array([1, 1, 2, 1.5], f32))])
    yield model("Resize", 10, None, (1, 2, 3, 4), mode="nearest", extra=[array("s", np.array([1, 1, 2, 2.5], f32))])
    yield model("Resize", 10, None, (1, 2, 4, 4), mode="linear", extra=[array("s", np.array([1, 1, 0.5, 2], f32))])
    yield model("Resize", 11, None, (1, 2, 4, 4), extra=[array("r", np.zeros(0, f32)), array("s", np.array([1, 1, 2, 2], f32))])
    yield model("Scatter", 9, None, (3, 3), extra=[array("i", np.array([[1, 0, 2]])), array("u", np.array([[7, 8, 9]], f32))])
    yield model("GridSample", 16, None, (1, 1, 3, 3), mode="bicubic", extra=[array("t", np.linspace(-1, 1, 18, dtype=f32).reshape(1, 3, 3, 2))])
    yield model("GridSample", 16, None, (1, 1, 3, 3), extra=[array("t", np.linspace(-1, 1, 18, dtype=f32).reshape(1, 3, 3, 2))])
    yield model("RoiAlign", 10, None, (1, 1, 6, 6), output_height=2, output_width=2, extra=[array("r", np.array([[0, 0, 4, 4]], f32)), array("b", np.array([0]))])
    yield model("DFT", 17, None, (1, 6, 1), axis=1)
    yield model("MaxPool", 8, None, (1, 1, 6, 6), kernel_shape=[2, 2])
    yield model("AveragePool", 7, None, (1, 1, 6, 6), kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    yield model("Flatten", 7, None, axis=2)
    yield model("Gemm", 7, None, (2, 3), extra=[array("b", np.ones((3, 4), f32)), array("c", np.ones(4, f32))])
    yield model("LSTM", 7, None, (2, 1, 3), hidden_size=2, extra=[array("w", np.linspace(-1, 1, 24, dtype=f32).reshape(1, 8, 3)), array("r", np.linspace(-1, 1, 16, dtype=f32).reshape(1, 8, 2))])

    # The same within the body of an If.
    inner = helper.make_graph(
        [helper.make_node("Unsqueeze", ["x"], ["u"], name="u", axes=[0]), helper.make_node("Softmax", ["u"], ["s"], name="s")],
        "then", [], [value("s", None)],
    )
    other = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["r"], name="r", axes=[1])], "else", [], [value("r", None)])
    for condition in (True, False):
        graph = helper.make_graph(
            [helper.make_node("If", ["c"], ["y"], name="if", then_branch=inner, else_branch=other)],
            "g", [value("x", (2, 3))], [value("y", None)], [array("c", np.array(condition))],
        )
        yield f"If {condition}", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def broadcast(x, codes, axis, block):
    """A scale or zero point for each code."""
    if x.ndim == codes.ndim and block:
        return np.take(np.repeat(x, block, axis), np.arange(codes.shape[axis]), axis)
    return x.reshape([-1 if x.size > 1 and i == axis else 1 for i in range(codes.ndim)])


def expected_of(model):
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear":
            continue
        codes, scale, zero = (tensors[i] for i in node.input)
        attributes = {a.name: a.i for a in node.attribute}
        axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
        wide = codes.astype(np.int32) - broadcast(zero.astype(np.int32), codes, axis, block)
        yield node.output[0], wide.astype(np.float32) * broadcast(scale, codes, axis, block)


def quantized(peer, name, source, kind, group):
    for verb in ("quantize", "alone"):
        family = f"{'quantized' if verb == 'quantize' else 'alone'} {kind}"
        out = peer.folder / f"{verb}.onnx"
        problem = peer.run(verb, source, out, kind, group)
        if problem:
            count(family, False, f"{name} by {group}: {problem}")
            continue
        onnx.checker.check_model(str(out), full_check=True)
        model = onnx.load(out)
        expected = dict(expected_of(model))
        there = {o.name for o in model.graph.output}
        model.graph.output.extend(value(n, x.shape) for n, x in expected.items() if n not in there)
        try:
            session = session_of(model)
        except NotImplemented:
            counts[f"{family}, which ONNX Runtime lacks"][0] += 1
            continue
        got = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds_of(session, 1))))
        for output, x in expected.items():
            count(family, same(got[output], x), f"{name} by {group}: {output}")
        if verb == "alone":
            for tensor in model.graph.initializer:
                if tensor.name + "_output" in got:
                    count(family, same(got[tensor.name + "_output"], numpy_helper.to_array(tensor)), tensor.name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", required=True, help="a folder for models")
    parser.add_argument("models", nargs="*", help="models to raise and to quantize as well")
    arguments = parser.parse_args()
    peer = Peer(arguments.program, arguments.cases)
    first = None
    for what, model in small_models():
        source = peer.folder / "small.onnx"
        # The checker wants outputs' shapes.
        inferred = onnx.shape_inference.infer_shapes(model)
        for mine, its in zip(model.graph.output, inferred.graph.output):
            mine.CopyFrom(its)
        onnx.save(model, source)
        opset = model.opset_import[0].version
        for target in TARGETS:
            if target > opset:
                peer.raised("raised operators", what, source, target)
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((6, 40)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value("x", (1, 6))], [value("y", (1, 40))],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.arange(3), "n")],
    )
    first = peer.folder / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), first)
    for path in [first, *map(pathlib.Path, arguments.models)]:
        opset = next(o.version for o in onnx.load(path).opset_import if o.domain in ("", "ai.onnx"))
        for target in TARGETS:
            if target > opset:
                peer.raised("raised models", path.name, path, target)
        beside = peer.folder / "beside.onnx"
        problem = peer.run("beside", path, beside)
        onnx.checker.check_model(str(beside), full_check=True)
        before, after = session_of(str(path)), session_of(str(beside))
        feeds = feeds_of(before, 2)
        for a, b in zip(before.run(None, feeds), after.run(None, feeds)):
            count("data beside the model", problem is None and same(a, b), path.name)
        for kind, group in itertools.product(("I8", "U8", "I4", "U4", "I2", "U2", "I16", "U16"), ("tensor", "axis", "16", "32")):
            quantized(peer, path.name, path, kind, group)
    compared = differ = 0
    for family, (many, wrong) in counts.items():
        print(f"{family}: {many} compared, {wrong} differ")
        compared += many
        differ += wrong
    print(f"{compared} compared, {differ} differ")
    return differ != 0


sys.exit(main())
