"""Files that `zeropoint quantize` writes, opened by the packages that others use.

quantized_models.py COMMAND FOLDER DATA: quantizes the models of DATA/models into every container, by several
schemes, and compares what safetensors, gguf, onnx and onnxruntime read with what zeropoint itself
says the codes stand for (`--fake`), bit for bit; runs the quantized ONNX models; prints the accuracy
of the MNIST one, in float and quantized.
"""
import gzip
import json
import pathlib
import subprocess
import sys

import gguf
import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import safetensors
from safetensors.numpy import load_file

command, folder, data = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
ort.set_default_logger_severity(3)
compared = differ = 0


def zeropoint(*arguments):
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"zeropoint {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def check(name, expected, found):
    global compared, differ
    expected, found = np.asarray(expected, np.float32).ravel(), np.asarray(found, np.float32).ravel()
    compared += expected.size
    wrong = expected.size != found.size or (expected.view(np.uint32) != found.view(np.uint32))
    # Zeros of either sign are the same number.
    if expected.size == found.size:
        wrong &= (expected != 0) | (found != 0)
    count = int(np.sum(wrong))
    if count:
        differ += count
        print(f"{name}: {count} of {expected.size} differ")


def unpacked(raw, bits, signed, count):
    codes = np.unpackbits(raw.ravel(), bitorder="little")[: count * bits].reshape(count, bits)
    values = (codes * (1 << np.arange(bits))).sum(1).astype(np.int32)
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values) if signed else values


def spread(tiles, shape):
    """One value a tile (down × across) for each of the tensor's, seen as rows of axis 0."""
    if np.ndim(tiles) == 0:
        return tiles
    rows = shape[0]
    cols = int(np.prod(shape[1:], dtype=np.int64))
    down, across = tiles.shape
    width = -(-cols // across)
    for each in (32, 64, 128):  # groups may end in a shorter one
        if -(-cols // each) == across and across > 1:
            width = each
    return np.repeat(np.repeat(tiles, -(-rows // down), 0)[:rows], width, 1)[:, :cols]


def own_values(path):
    """What a file of zeropoint's own stands for, by its documentation alone."""
    with safetensors.safe_open(path, "np") as file:
        about = json.loads(file.metadata()["zeropoint"])["tensors"]
        raw = {}
        for name in file.keys():
            try:
                raw[name] = file.get_tensor(name)
            except Exception:  # numpy has no float8; its bytes are read below
                pass
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        for name, how in about.items():
            begin, end = header[name]["data_offsets"]
            file.seek(start + begin)
            codes = np.frombuffer(file.read(end - begin), np.uint8)
            scheme, shape = how["scheme"], how["shape"]
            count = int(np.prod(shape))
            word = scheme.split(":")[0].split("+")[-1]
            if word.startswith(("int", "uint")):
                signed, bits = word.startswith("int"), int("".join(c for c in word if c.isdigit()))
                numbers = (codes.view(np.int8 if signed else np.uint8).astype(np.int32) if bits == 8
                           else unpacked(codes, bits, signed, count))
            elif word == "e4m3":
                numbers = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
            elif word == "nf4":
                numbers = raw[name + ".levels"][unpacked(codes, 4, False, count)]
            else:
                continue
            numbers = numbers.reshape(shape[0], -1)
            zero = raw.get(name + ".zero_point")
            if zero is not None:
                numbers = numbers - spread(zero.astype(np.int32), shape)
            yield name, numbers.astype(np.float32) * spread(raw[name + ".scale"], shape)


def dequantize_nodes(path):
    """A model of the graph's DequantizeLinear nodes alone, their outputs its own."""
    model = onnx.load(path)
    nodes = [n for n in model.graph.node if n.op_type == "DequantizeLinear"]
    used = {i for n in nodes for i in n.input}
    graph = onnx.helper.make_graph(
        nodes, "dequantized", [],
        [onnx.helper.make_tensor_value_info(n.output[0], onnx.TensorProto.FLOAT, None) for n in nodes],
        [t for t in model.graph.initializer if t.name in used])
    small = onnx.helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    session = ort.InferenceSession(small.SerializeToString())
    return dict(zip([n.output[0] for n in nodes], session.run(None, {})))


def mnist(path, images):
    session = ort.InferenceSession(path)
    name = session.get_inputs()[0].name
    return np.array([session.run(None, {name: x[None, None]})[0].argmax() for x in images])


models = sorted((data / "models").glob("*"))
own = ["int8", "int8:sym:channel", "uint8:channel", "int4:sym:group=32", "int4:group=64", "int3:channel",
       "int5", "e4m3:channel", "nf4:group=64"]
blocks = ["q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
for_onnx = ["int8", "uint8", "int8:sym:channel", "int8:channel", "int4:sym:channel", "uint4:channel",
            "int2:sym:channel", "int16:channel"]
for model in models:
    for scheme in own + blocks:
        fake, out = folder / "fake.safetensors", folder / "out.safetensors"
        common = [model, "--scheme", scheme, "--requantize"]
        zeropoint("quantize", *common, "--fake", "-o", fake)
        zeropoint("quantize", *common, "-o", out)
        expected = load_file(fake)
        for name, values in own_values(out):
            check(f"{model.name} {scheme} {name} in safetensors", expected[name], values)
        zeropoint("quantize", *common, "--fake", "-o", folder / "fake.npz")
        arrays = np.load(folder / "fake.npz")
        for name, values in expected.items():
            check(f"{model.name} {scheme} {name} in npz", values, arrays[name])
    for scheme in blocks:
        fake, out = folder / "fake.gguf", folder / "out.gguf"
        common = [model, "--scheme", scheme, "--fallback", "keep"]
        zeropoint("quantize", *common, "--fake", "-o", fake)
        zeropoint("quantize", *common, "-o", out)
        text = [zeropoint("quantize", *common, "-o", folder / f"{i}.gguf") and
                (folder / f"{i}.gguf").read_bytes() for i in range(2)]
        check(f"{model.name} {scheme}: the same bytes twice", 0, float(text[0] != text[1]))
        plain = {t.name: t for t in gguf.GGUFReader(out).tensors}
        zeropoint("quantize", out, "--only", "^$", "--scheme", "int8", "--to", "gguf", "-o", folder / "kept.gguf")
        for tensor in gguf.GGUFReader(folder / "kept.gguf").tensors:
            check(f"{model.name} {scheme} {tensor.name}: bytes kept", 0,
                  float(not np.array_equal(tensor.data, plain[tensor.name].data)))
        # What zeropoint reads in its own blocks is what gguf reads in them.
        zeropoint("quantize", out, "--only", ".", "--requantize", "--fallback", "keep", "--scheme", "fp16:unit",
                  "--fake", "-o", folder / "read.safetensors")
        read = load_file(folder / "read.safetensors")
        for name, tensor in plain.items():
            if tensor.tensor_type.name.startswith("Q") and read[name].dtype == np.float32:
                values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                check(f"{model.name} {scheme} {name} in GGUF", values.astype(np.float16), read[name])
    for scheme in for_onnx:
        fake, out = folder / "fake.safetensors", folder / "out.onnx"
        common = [model, "--scheme", scheme, "--fallback", "keep"]
        zeropoint("quantize", *common, "--fake", "--to", "safetensors", "-o", fake)
        zeropoint("quantize", *common, "-o", out)
        onnx.checker.check_model(str(out), full_check=True)
        expected = load_file(fake)
        for name, values in dequantize_nodes(out).items():
            check(f"{model.name} {scheme} {name} in ONNX", expected[name], values)
        session = ort.InferenceSession(out)
        feed = {i.name: np.random.default_rng(0).random([d if isinstance(d, int) else 1 for d in i.shape],
                                                        np.float32) for i in session.get_inputs()}
        for result in session.run(None, feed):
            check(f"{model.name} {scheme}: finite results", 0, float(not np.isfinite(result).all()))

with gzip.open(data / "mnist/t10k-images-idx3-ubyte.gz") as file:
    images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:2000].astype(np.float32)
with gzip.open(data / "mnist/t10k-labels-idx1-ubyte.gz") as file:
    labels = np.frombuffer(file.read(), np.uint8, offset=8)[:2000]
accuracy = {"float32": np.mean(mnist(data / "models/mnist-8.onnx", images) == labels)}
for scheme in for_onnx:
    zeropoint("quantize", data / "models/mnist-8.onnx", "--scheme", scheme, "-o", folder / "mnist.onnx")
    accuracy[scheme] = np.mean(mnist(folder / "mnist.onnx", images) == labels)
print("MNIST, 2000 images: " + ", ".join(f"{k} {100 * v:.2f} %" for k, v in accuracy.items()))
print(f"{compared} compared, {differ} differ")
sys.exit(differ != 0)
