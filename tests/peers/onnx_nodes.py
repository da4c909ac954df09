"""zeropoint's ONNX operators beside ONNX's reference implementation and ONNX Runtime.

Writes folders like those of ONNX's node tests, for combinations of every attribute, with outputs by
  reference   onnx.reference.ReferenceEvaluator
  runtime     ONNX Runtime, where it has the operator for these types
  plain       loops in this file, where the reference implementation departs from ONNX's text
              (zero points of channels), or from ONNX Runtime (float32 scales: see
              src/model/operators/integer_product.hpp)
and runs onnx_node_test over them and over ONNX's own node tests. One line a family, then how many
were compared and differ; the exit status is 1 if any differs.
"""

import argparse
import collections
import itertools
import pathlib
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.op_dequantize_linear import DequantizeLinear_25
from onnx.reference.ops.op_quantize_linear import QuantizeLinear_25

FLOATS = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"]
FLOAT8 = ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"]
SMALL = ["INT2", "UINT2", "INT4", "UINT4"]
INTEGERS = ["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"]
ALL = FLOATS + FLOAT8 + ["FLOAT4E2M1", "FLOAT8E8M0", "BOOL"] + SMALL + INTEGERS
BITS = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4}


# The evaluator itself takes those of operator set 21, which lack attributes of later ones.
class QuantizeLinear(QuantizeLinear_25):
    op_domain = ""


class DequantizeLinear(DequantizeLinear_25):
    op_domain = ""


NEWEST = [QuantizeLinear, DequantizeLinear]


def dtype_of(name):
    return np.dtype(helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name)))


def name_of(array):
    return TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))


class Cases:
    def __init__(self, folder, seed):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.rng = np.random.default_rng(seed)
        self.count = collections.Counter()
        self.unsupported = collections.Counter()

    def tensor(self, name, array):
        """Half of them in raw_data, half in the field of their type."""
        if self.rng.integers(2) or name_of(array) in ("FLOAT4E2M1", *SMALL):
            return numpy_helper.from_array(array, name)
        tensor = numpy_helper.from_array(array, name)
        kind = tensor.data_type
        tensor.ClearField("raw_data")
        flat = array.reshape(-1)
        if kind in (TensorProto.FLOAT,):
            tensor.float_data.extend(flat)
        elif kind == TensorProto.DOUBLE:
            tensor.double_data.extend(flat)
        elif kind == TensorProto.INT64:
            tensor.int64_data.extend(flat)
        elif kind in (TensorProto.UINT32, TensorProto.UINT64):
            tensor.uint64_data.extend(flat)
        elif array.dtype.kind in "iub":
            tensor.int32_data.extend(int(v) for v in flat)
        else:
            word = np.uint16 if array.dtype.itemsize == 2 else np.uint8
            tensor.int32_data.extend(int(v) for v in flat.view(word))
        return tensor

    def write(self, family, model, inputs, outputs):
        folder = self.folder / f"{family}_{self.count[family]:04}"
        self.count[family] += 1
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        onnx.save(model, folder / "model.onnx")
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for i, array in enumerate(arrays):
                (data / f"{kind}_{i}.pb").write_bytes(self.tensor(f"{kind}{i}", array).SerializeToString())

    def add(self, family, op, inputs, attributes, outputs=1, opset=25, by="reference", expected=None, reference=None):
        """inputs may hold None for one that is left out. `reference`: inputs as the reference
        implementation wants them, where it wants them otherwise."""
        inputs = [x if x is None else np.asarray(x) for x in inputs]
        names = [f"i{i}" if x is not None else "" for i, x in enumerate(inputs)]
        results = [f"o{i}" for i in range(outputs)]
        node = helper.make_node(op, names, results, **attributes)

        def model_of(arrays, kinds):
            graph = helper.make_graph(
                [node],
                "g",
                [
                    helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                    for n, x in zip(names, arrays)
                    if n
                ],
                [helper.make_empty_tensor_value_info(r) for r in results]
                if kinds is None
                else [
                    helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(k.dtype), k.shape)
                    for r, k in zip(results, kinds)
                ],
            )
            return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)

        if expected is None:
            arrays = reference or inputs
            feeds = {n: x for n, x in zip(names, arrays) if n}
            try:
                results_of = ReferenceEvaluator(model_of(arrays, None), new_ops=NEWEST).run(None, feeds)
            except Exception:
                self.unsupported[f"{family}_reference"] += 1
                return
            expected = [np.asarray(y) for y in results_of]
        model = model_of(inputs, expected)
        given = [x for x in inputs if x is not None]
        if by == "runtime":
            try:
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 4
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                # It takes types that NumPy has not as initializers alone.
                its_own = onnx.ModelProto.FromString(model.SerializeToString())
                feeds = {n: x for n, x in zip(names, inputs) if n}
                for name in [n for n, x in feeds.items() if x.dtype.kind == "V" or x.dtype.num >= 256]:
                    its_own.graph.initializer.append(numpy_helper.from_array(feeds.pop(name), name))
                session = onnxruntime.InferenceSession(its_own.SerializeToString(), options)
                results_of = session.run(None, feeds)
                # Its 8-bit floats come as bytes.
                if op == "QuantizeLinear":
                    results_of = [results_of[0].view(inputs[2].dtype)]
                expected = results_of
            except Exception:
                self.unsupported[f"{family}_runtime"] += 1
                return
        self.write(f"{family}_{by}", model, given, expected)

    # ── inputs ──────────────────────────────────────────────────────────────────────────────────

    def reals(self, shape, size=4.0):
        return np.asarray(self.rng.standard_normal(shape) * size).astype(np.float32)

    def awkward(self, count=40):
        """Floats of every size, and specials."""
        some = self.rng.standard_normal(count) * np.exp2(self.rng.uniform(-20, 20, count))
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -0.5, -1.5, 448, 464, 465, 57344, 61440, 65504]
        return np.concatenate([some, special, [240, 248, 1e38, -1e38, 5, 6, 7, 1e-40]])

    def codes(self, kind, shape):
        info = ml_dtypes.iinfo(dtype_of(kind))
        draw = np.uint64 if kind == "UINT64" else np.int64
        codes = self.rng.integers(int(info.min), int(info.max), shape, draw, endpoint=True)
        return np.asarray(codes).astype(dtype_of(kind))

    def scale(self, shape=(), kind="FLOAT"):
        return np.asarray(np.exp(self.rng.uniform(-3, 1, shape))).astype(dtype_of(kind))


def casts(cases):
    for source, target in itertools.product(ALL, ALL):
        if source == target:
            continue
        if source in FLOATS + FLOAT8 + ["FLOAT4E2M1"]:
            x = cases.awkward().astype(np.float32).astype(dtype_of(source))
        elif source == "FLOAT8E8M0":
            x = np.arange(0, 256, dtype=np.uint8).view(dtype_of(source))
        elif source == "BOOL":
            x = np.array([True, False, True])
        else:
            x = cases.codes(source, 40)
        if target in SMALL + INTEGERS and x.dtype.kind not in "iub" and source not in SMALL:
            # ONNX leaves what does not fit undefined.
            lo, hi = (int(f(ml_dtypes.iinfo(dtype_of(target)))) for f in (lambda i: i.min, lambda i: i.max))
            wide = x.astype(np.float64)
            x = x[np.isfinite(wide) & (wide >= lo) & (wide <= hi / 2)]
        if target == "FLOAT8E8M0":
            wide = x.astype(np.float64)
            # Undefined: negative numbers. By the operator's tables, and unlike the reference
            # implementation, infinity saturates; float32's subnormals are its own way.
            x = x[np.isfinite(wide) & (wide >= 2.0**-126)]
            for saturate, mode in itertools.product((0, 1), ("up", "down", "nearest")):
                cases.add("cast", "Cast", [x], {"to": getattr(TensorProto, target), "saturate": saturate, "round_mode": mode})
        else:
            saturates = (0, 1) if target in FLOAT8 else (1,)
            for saturate in saturates:
                attributes = {"to": getattr(TensorProto, target), "saturate": saturate}
                cases.add("cast", "Cast", [x.reshape(1, -1)], attributes)


QUANTIZED = ["INT8", "UINT8", "INT16", "UINT16", *SMALL, *FLOAT8, "FLOAT4E2M1"]


def granularities(cases):
    """x's shape, attributes, the scale's shape."""
    yield (3, 4), {}, ()
    yield (7,), {}, (1,)
    yield (), {}, ()
    yield (2, 3, 4), {}, (3,)
    yield (2, 3, 4), {"axis": 0}, (2,)
    yield (2, 3, 4), {"axis": -1}, (4,)
    yield (2, 3, 4), {"axis": -3}, (2,)
    yield (5,), {"axis": 0}, (5,)
    yield (4, 6), {"axis": 1, "block_size": 2}, (4, 3)
    yield (4, 6), {"axis": 0, "block_size": 2}, (2, 6)
    yield (2, 7, 3), {"axis": -2, "block_size": 3}, (2, 3, 3)
    yield (2, 3, 5), {"axis": 2, "block_size": 5}, (2, 3, 1)
    yield (0, 3), {"axis": 1}, (3,)


def quantizations(cases):
    for kind, (shape, attributes, of_scale) in itertools.product(QUANTIZED, granularities(cases)):
        is_integer = kind in SMALL + INTEGERS
        for x_kind, scale_kind in (("FLOAT", "FLOAT"), ("FLOAT16", "FLOAT16"), ("BFLOAT16", "BFLOAT16"), ("FLOAT16", "FLOAT"), ("FLOAT", "FLOAT8E8M0")):
            x = (cases.reals(shape, 20) if is_integer else cases.reals(shape, 400)).astype(dtype_of(x_kind))
            scale = cases.scale(of_scale, scale_kind)
            zero_point = cases.codes(kind, of_scale) if is_integer else np.zeros(of_scale, dtype_of(kind))
            saturate = int(cases.rng.integers(2))
            with_saturate = {**attributes, "saturate": saturate} if kind in FLOAT8 else attributes
            cases.add("quantize", "QuantizeLinear", [x, scale, zero_point], with_saturate)
            typed = {**with_saturate, "output_dtype": getattr(TensorProto, kind)}
            cases.add("quantize", "QuantizeLinear", [x, scale], typed)
            for precision in ("FLOAT", "FLOAT16", "BFLOAT16"):
                precise = {**typed, "precision": getattr(TensorProto, precision)}
                cases.add("quantize", "QuantizeLinear", [x, scale], precise)
        # ONNX Runtime does not have the newest operator sets' types.
        x = cases.reals(shape, 20 if is_integer else 400)
        zero_point = cases.codes(kind, of_scale) if is_integer else np.zeros(of_scale, dtype_of(kind))
        scale = cases.scale(of_scale)
        if is_integer:
            x.reshape(-1)[: x.size // 2] = np.float32(0.5) * np.round(x.reshape(-1)[: x.size // 2])  # ties
            scale = np.ones_like(scale) if cases.rng.integers(2) else scale
        cases.add("quantize", "QuantizeLinear", [x, scale, zero_point], attributes, opset=21, by="runtime")
    for shape, attributes, of_scale in granularities(cases):
        x = cases.rng.integers(-100000, 100000, shape).astype(np.int32)
        scale = (cases.scale(of_scale) * 1000).astype(np.float32)
        cases.add("quantize", "QuantizeLinear", [x, scale, cases.codes("INT8", of_scale)], attributes)
        of = cases.rng.integers(1, 5000, of_scale).astype(np.int32)
        cases.add("quantize", "QuantizeLinear", [x, of, cases.codes("INT8", of_scale)], attributes)
    for x in ([0.0, 1.0], [-1.0, -2.0, -0.5], [3.0], [0.0, 0.0], [1e-38, 2e-38], [3e37, -1e37]):
        by = "runtime"
        cases.add("dynamic", "DynamicQuantizeLinear", [np.array(x, np.float32)], {}, outputs=3, opset=11, by=by)
    for _ in range(60):
        shape = cases.rng.integers(1, 6, cases.rng.integers(0, 4))
        x = cases.reals(shape, float(np.exp(cases.rng.uniform(-20, 20)))) + np.float32(cases.rng.integers(-3, 4))
        x = np.asarray(x, np.float32)
        cases.add("dynamic", "DynamicQuantizeLinear", [x], {}, outputs=3, opset=11, by="runtime")
        cases.add("dynamic", "DynamicQuantizeLinear", [x], {}, outputs=3, opset=11)


def dequantizations(cases):
    for kind, (shape, attributes, of_scale) in itertools.product(QUANTIZED + ["INT32"], granularities(cases)):
        is_integer = kind in SMALL + INTEGERS
        for scale_kind in ("FLOAT", "FLOAT16", "BFLOAT16", "FLOAT8E8M0"):
            x = cases.codes(kind, shape) if is_integer else cases.reals(shape, 8).astype(dtype_of(kind))
            if kind == "INT32":
                x //= 1000
            scale = cases.scale(of_scale, scale_kind)
            zero_point = cases.codes(kind, of_scale) if is_integer and kind != "INT32" else np.zeros(of_scale, dtype_of(kind))
            outputs = ["FLOAT", "FLOAT16", "BFLOAT16"] + ([None] if scale_kind != "FLOAT8E8M0" else [])
            for output in outputs:
                typed = attributes if output is None else {**attributes, "output_dtype": getattr(TensorProto, output)}
                cases.add("dequantize", "DequantizeLinear", [x, scale, zero_point], typed)
            if scale_kind != "FLOAT8E8M0":
                cases.add("dequantize", "DequantizeLinear", [x, scale], attributes)
            if scale_kind in ("FLOAT", "FLOAT16"):
                cases.add("dequantize", "DequantizeLinear", [x, scale, zero_point], attributes, opset=21, by="runtime")


def products(cases):
    shapes = [((4, 3), (3, 2)), ((3,), (3, 2)), ((4, 3), (3,)), ((3,), (3,)), ((2, 4, 3), (3, 5)), ((2, 4, 3), (2, 3, 5)),
              ((3, 1, 4, 2), (5, 2, 3)), ((4, 3), (6, 3, 5)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 1, 7, 70), (1, 3, 70, 9))]
    kinds = list(itertools.product(("INT8", "UINT8"), repeat=2))
    for (a_shape, b_shape), (a_kind, b_kind) in itertools.product(shapes, kinds):
        a, b = cases.codes(a_kind, a_shape), cases.codes(b_kind, b_shape)
        m = a_shape[-2] if len(a_shape) > 1 else 1
        n = b_shape[-1] if len(b_shape) > 1 else 1
        all_a, all_b = cases.codes(a_kind, ()), cases.codes(b_kind, (1,))
        y_kind = a_kind if cases.rng.integers(2) else b_kind

        def qlinear(a_scale, a_zero, b_scale, b_zero, **options):
            y_scale = np.float32(a_scale.mean() * b_scale.mean() * 300).astype(a_scale.dtype)
            reference = options.pop("reference", None)
            inputs = [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, cases.codes(y_kind, ())]
            if a_scale.dtype == np.float32 and "by" not in options:
                s_a, z_a, s_b, z_b = reference or inputs[1:3] + inputs[4:6]
                sums = np.matmul(a.astype(np.int64) - z_a.astype(np.int64), b.astype(np.int64) - z_b.astype(np.int64))
                # Vectors lose an axis; their parameters are one.
                multiplier = s_a * s_b / y_scale if sums.ndim > 1 else np.float32((s_a * s_b).item()) / y_scale
                options = {"by": "plain", "expected": [requantized(sums, multiplier, inputs[7])]}
                reference = None
            if reference:
                reference = [a, *reference[:2], b, *reference[2:], *inputs[6:]]
            cases.add("qlinearmatmul", "QLinearMatMul", inputs, {}, opset=21, reference=reference, **options)

        cases.add("matmulinteger", "MatMulInteger", [a, b], {}, opset=10)
        cases.add("matmulinteger", "MatMulInteger", [a, b, all_a], {}, opset=10)
        cases.add("matmulinteger", "MatMulInteger", [a, b, None, all_b], {}, opset=10)
        cases.add("matmulinteger", "MatMulInteger", [a, b, all_a, all_b], {}, opset=10)
        has_terms = a_shape[-1] > 0  # ONNX Runtime leaves sums of none as they were
        if has_terms:
            cases.add("matmulinteger", "MatMulInteger", [a, b, all_a, all_b], {}, opset=10, by="runtime")
        for kind in ("FLOAT", "FLOAT16", "BFLOAT16"):
            # A parameter of shape [1] gives the reference implementation's scalars an axis.
            of_b = () if len(a_shape) == len(b_shape) == 1 else (1,)
            qlinear(cases.scale((), kind), all_a, cases.scale(of_b, kind), all_b.reshape(of_b))
        if has_terms:
            qlinear(cases.scale(), all_a, cases.scale(), all_b, by="runtime")
            qlinear(np.asarray(np.float32(0.5)), all_a, np.asarray(np.float32(0.25)), all_b, by="runtime")
        if len(a_shape) == 1 or len(b_shape) == 1:
            continue
        each_a, each_b = cases.codes(a_kind, m), cases.codes(b_kind, n)
        wide_a = cases.codes(a_kind, (*a_shape[:-1], 1))
        wide_b = cases.codes(b_kind, (*b_shape[:-2], 1, n))
        columns = each_a.reshape(m, 1)
        cases.add("matmulinteger", "MatMulInteger", [a, b, each_a, each_b], {}, opset=10, reference=[a, b, columns, each_b])
        cases.add("matmulinteger", "MatMulInteger", [a, b, wide_a, wide_b], {}, opset=10)
        if has_terms:
            cases.add("matmulinteger", "MatMulInteger", [a, b, all_a, each_b], {}, opset=10, by="runtime")
        for kind in ("FLOAT", "FLOAT16"):
            s_a, s_b = cases.scale(m, kind), cases.scale(n, kind)
            if m and n:
                qlinear(s_a, each_a, s_b, each_b, reference=[s_a.reshape(m, 1), columns, s_b, each_b])
                qlinear(cases.scale(wide_a.shape, kind), wide_a, cases.scale(wide_b.shape, kind), wide_b) if a_shape[:-2] == b_shape[:-2] else None
        if n and has_terms:
            qlinear(cases.scale(), all_a, cases.scale(n), each_b, by="runtime")


def requantized(sums, multiplier, zero_point):
    """ONNX Runtime's rules, in float32."""
    limits = np.iinfo(zero_point.dtype)
    rounded = np.rint(sums.astype(np.float32) * np.asarray(multiplier, np.float32)) + np.float32(zero_point)
    return np.asarray(np.clip(rounded, limits.min, limits.max)).astype(zero_point.dtype)


def plain_convolution(x, w, attributes):
    """By definition, int64."""
    axes = x.ndim - 2
    strides = attributes.get("strides", [1] * axes)
    dilations = attributes.get("dilations", [1] * axes)
    groups = attributes.get("group", 1)
    pads = list(attributes.get("pads", [0] * 2 * axes))
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations)]
    mode = attributes.get("auto_pad", "NOTSET")
    if mode.startswith("SAME"):
        for i in range(axes):
            size = x.shape[2 + i]
            needed = max(0, (-(-size // strides[i]) - 1) * strides[i] + reach[i] - size)
            small, large = needed // 2, needed - needed // 2
            pads[i], pads[axes + i] = (small, large) if mode == "SAME_UPPER" else (large, small)
    x = np.pad(x.astype(np.int64), [(0, 0), (0, 0), *zip(pads[:axes], pads[axes:])])
    out = [(s - r) // t + 1 for s, r, t in zip(x.shape[2:], reach, strides)]
    y = np.zeros((x.shape[0], w.shape[0], *out), np.int64)
    per_group = w.shape[0] // groups
    for m in range(w.shape[0]):
        first = m // per_group * w.shape[1]
        for position in np.ndindex(*out):
            window = tuple(slice(p * t, p * t + r, d) for p, t, r, d in zip(position, strides, reach, dilations))
            patch = x[(slice(None), slice(first, first + w.shape[1]), *window)]
            y[(slice(None), m, *position)] = (patch * w[m].astype(np.int64)).reshape(x.shape[0], -1).sum(1)
    return y


def convolutions(cases):
    for axes, number in ((1, 40), (2, 120), (3, 20)):
        for _ in range(number):
            rng = cases.rng
            group = int(rng.integers(1, 4))
            of_group, per_group = int(rng.integers(1, 4)), int(rng.integers(1, 4))
            kernel = [int(k) for k in rng.integers(1, 4, axes)]
            attributes = {}
            if group > 1 or rng.integers(2):
                attributes["group"] = group
            dilations = [int(d) for d in rng.integers(1, 3, axes)] if rng.integers(2) else [1] * axes
            if max(dilations) > 1 or rng.integers(2):
                attributes["dilations"] = dilations
            if rng.integers(2):
                attributes["strides"] = [int(s) for s in rng.integers(1, 4, axes)]
            if rng.integers(2):
                attributes["kernel_shape"] = kernel
            padding = rng.integers(5)
            if padding == 0:
                attributes["pads"] = [int(p) for p in rng.integers(0, 3, 2 * axes)]
            elif padding < 4:
                attributes["auto_pad"] = ("SAME_UPPER", "SAME_LOWER", "VALID")[padding - 1]
            size = [(k - 1) * d + 1 + int(rng.integers(0, 6)) for k, d in zip(kernel, dilations)]
            x_kind, w_kind, y_kind = (("INT8", "UINT8")[i] for i in rng.integers(2, size=3))
            x = cases.codes(x_kind, (int(rng.integers(1, 3)), group * of_group, *size))
            w = cases.codes(w_kind, (group * per_group, of_group, *kernel))
            x_zero = cases.codes(x_kind, ()) if rng.integers(3) else None
            w_zero = (cases.codes(w_kind, ()), cases.codes(w_kind, (w.shape[0],)), None)[rng.integers(3)]
            inputs = [x, w, x_zero, w_zero]
            while inputs[-1] is None:
                inputs.pop()
            wide_x = x.astype(np.int64) - (0 if x_zero is None else int(x_zero))
            each = np.zeros(()) if w_zero is None else w_zero
            each = np.broadcast_to(each.astype(np.int64), (w.shape[0],)).reshape(-1, *[1] * (axes + 1))
            y = plain_convolution(wide_x, w.astype(np.int64) - each, attributes)
            cases.add("convinteger", "ConvInteger", inputs, attributes, opset=10, by="plain", expected=[y.astype(np.int32)])
            by_runtime = {"opset": 10, "by": "runtime", "expected": [y.astype(np.int32)]}
            cases.add("convinteger", "ConvInteger", inputs, attributes, **by_runtime)

            x_zero = cases.codes(x_kind, ())
            w_zero = cases.codes(w_kind, ()) if w_kind == "UINT8" else np.zeros((), np.int8)
            nice = rng.integers(2)
            w_scale = cases.scale((w.shape[0],) if rng.integers(2) else ())
            if w_scale.ndim == 1 and rng.integers(2):
                w_zero = np.broadcast_to(w_zero, w_scale.shape).copy()
            x_scale = np.float32(0.5) if nice else cases.scale()
            y_scale = np.float32(512 if nice else cases.scale() * 500)
            if nice:
                w_scale[...] = 1
            bias = rng.integers(-20000, 20000, w.shape[0]).astype(np.int32) if rng.integers(2) else None
            y_zero = cases.codes(y_kind, ())
            inputs = [x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero]
            if bias is not None:
                inputs.append(bias)
            each = np.broadcast_to(w_zero.astype(np.int64), (w.shape[0],)).reshape(-1, *[1] * (axes + 1))
            sums = plain_convolution(x.astype(np.int64) - int(x_zero), w.astype(np.int64) - each, attributes)
            along = (1, -1, *[1] * axes)
            if bias is not None:
                sums = sums + bias.astype(np.int64).reshape(along)
            multiplier = (x_scale * w_scale / y_scale).astype(np.float32)
            multiplier = np.broadcast_to(multiplier, (w.shape[0],)).reshape(along)
            y = requantized(sums, multiplier, y_zero)
            cases.add("qlinearconv", "QLinearConv", inputs, attributes, opset=10, by="plain", expected=[y])
            cases.add("qlinearconv", "QLinearConv", inputs, attributes, opset=10, by="runtime", expected=[y])


FAMILIES = {f.__name__: f for f in (casts, quantizations, dequantizations, products, convolutions)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True, help="onnx_node_test")
    parser.add_argument("--cases", required=True, help="where the folders are written")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--only", choices=FAMILIES, help="one family alone")
    parser.add_argument("--show", type=int, default=3, help="failures shown of a family")
    options = parser.parse_args()
    np.seterr(all="ignore")

    cases = Cases(options.cases, options.seed)
    for name, family in FAMILIES.items():
        if options.only in (None, name):
            family(cases)
    folders = {}
    for folder in sorted(cases.folder.iterdir()):
        folders.setdefault(folder.name.rsplit("_", 1)[0], []).append(folder)
    if options.only is None:
        own = pathlib.Path(onnx.__file__).parent / "backend/test/data/node"
        words = ("test_cast", "quantizelinear", "test_qlinear", "integer")
        folders["onnx's node tests"] = [f for f in sorted(own.iterdir()) if any(w in f.name for w in words)]

    compared = differ = 0
    for name, members in folders.items():
        done = subprocess.run([options.program, *members], stdout=subprocess.PIPE, text=True)
        lines = done.stdout.splitlines()
        wrong = [line for line in lines if line.startswith("FAIL")]
        if len(lines) != len(members) + 1:
            wrong.append(f"{options.program} ended with status {done.returncode} after {len(lines)} lines")
        compared += len(members)
        differ += len(wrong)
        print(f"{name}: {len(members)} compared, {len(wrong)} differ", flush=True)
        for line in wrong[: options.show]:
            print("  " + line)
    for family, count in cases.unsupported.items():
        print(f"{family}: refused {count}, which were not compared")
    print(f"{compared} compared, {differ} differ")
    return differ != 0


if __name__ == "__main__":
    sys.exit(main())
