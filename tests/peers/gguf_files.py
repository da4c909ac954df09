"""GGUF files: what zeropoint writes, opened by the gguf package, and what that writes, opened by zeropoint:
names, types, shapes, bytes, metadata, and numbers bit for bit as far as the package dequantizes a type."""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np

PROGRAM = sys.argv[1]
QT = gguf.GGMLQuantizationType
VT = gguf.GGUFValueType
PLAIN = {QT.F32: np.float32, QT.F16: np.float16, QT.F64: np.float64, QT.I8: np.int8, QT.I16: np.int16,
         QT.I32: np.int32, QT.I64: np.int64}
# Where the fp16 scales of a block lie; a random one could be infinite or NaN. BF16 has none.
BLOCKS = {QT.BF16: (), QT.Q4_0: (0,), QT.Q4_1: (0, 2), QT.Q5_0: (0,), QT.Q5_1: (0, 2), QT.Q8_0: (0,),
          QT.Q2_K: (80, 82), QT.Q3_K: (108,), QT.Q4_K: (0, 2), QT.Q5_K: (0, 2), QT.Q6_K: (208,), QT.MXFP4: ()}
counts = collections.Counter()

Tensor = collections.namedtuple("Tensor", "name kind shape data")


def tensors():
    random = np.random.default_rng(5)
    for kind in (*PLAIN, *BLOCKS):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        for shape in ((block,), (5, 2 * block), (2, 3, block), (2, 1, 3, 3 * block)):
            rows = int(np.prod(shape[:-1], dtype=int))
            blocks = random.integers(0, 256, (rows * shape[-1] // block, size), dtype=np.uint8)
            for at in BLOCKS.get(kind, ()):
                infinite = blocks[:, at + 1] & 0x7C == 0x7C
                blocks[infinite, at + 1] &= 0xBF
            if kind in PLAIN:
                data = random.integers(-100, 100, shape).astype(PLAIN[kind])
            elif kind == QT.BF16:
                data = (random.standard_normal(shape).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
                data = data.view(np.uint8).reshape(*shape[:-1], -1)
            else:
                data = blocks.reshape(*shape[:-1], -1)
            yield Tensor(f"{kind.name}.{len(shape)}", kind, shape, data)


def metadata():
    """Key, value, type, type of an array's values."""
    yield "a.uint8", 200, VT.UINT8, None
    yield "a.int8", -3, VT.INT8, None
    yield "a.uint16", 60000, VT.UINT16, None
    yield "a.int16", -300, VT.INT16, None
    yield "a.uint32", 4000000000, VT.UINT32, None
    yield "a.int32", -70000, VT.INT32, None
    yield "a.uint64", 2**63, VT.UINT64, None
    yield "a.int64", -(2**60), VT.INT64, None
    yield "a.float32", 0.1, VT.FLOAT32, None
    yield "a.float64", 1e-300, VT.FLOAT64, None
    yield "a.bool", True, VT.BOOL, None
    yield "a.string", "Grüße,\n\"world\"", VT.STRING, None
    yield "a.tokens", ["a", "", "ccc"] * 1000, VT.ARRAY, VT.STRING
    yield "a.scores", [0.5, -1.5] * 500, VT.ARRAY, VT.FLOAT32
    yield "a.kinds", [1, 2, 3], VT.ARRAY, VT.INT32
    yield "a.bools", [True, False], VT.ARRAY, VT.BOOL
    yield "a.nested", [[1, 2], [3]], VT.ARRAY, VT.ARRAY


def shown(value, kind):
    if kind == VT.ARRAY:
        return f"[{len(value)} values]"
    return str(value).lower() if kind == VT.BOOL else str(value)


def write(path, items, alignment):
    writer = gguf.GGUFWriter(path, "llama")
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    for key, value, kind, each in metadata():
        writer.add_key_value(key, value, kind, each)
    for tensor in items:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check(what, is_right, detail=""):
    counts["compared"] += 1
    if not is_right:
        counts["differ"] += 1
        print(f"  {what} {detail}")


def numbers(tensor):
    if tensor.kind in PLAIN:
        return tensor.data.astype(np.float32)
    with np.errstate(over="ignore"):
        return gguf.dequantize(tensor.data, tensor.kind).astype(np.float32)


def compare_dump(name, path, expected, values):
    """`expected` tensors and metadata beside what zeropoint reads."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([PROGRAM, "dump", path, folder], stdout=subprocess.PIPE, check=True)
        head, *lines = [json.loads(line) for line in run.stdout.splitlines()]
        found = dict(head["metadata"])
        for key, text in values.items():
            check(f"{name}: {key}", found.get(key) == text, f"expected {text!r}, found {found.get(key)!r}")
        check(f"{name}: tensors", len(lines) == len(expected))
        for number, (line, tensor) in enumerate(zip(lines, expected)):
            what = f"{name}: {tensor.name}"
            wanted = {"name": tensor.name, "type": tensor.kind.name, "shape": list(tensor.shape),
                      "bytes": tensor.data.nbytes}
            check(what, line == wanted, f"expected {wanted}, found {line}")
            data = pathlib.Path(folder, f"{number}.bin").read_bytes()
            check(f"{what}: bytes", data == tensor.data.tobytes())
            x = np.fromfile(pathlib.Path(folder, f"{number}.f32"), np.uint32)
            wrong = x != numbers(tensor).ravel().view(np.uint32)
            check(f"{what}: numbers", not wrong.any(), f"{wrong.sum()} of {wrong.size} differ")


def compare_reader(name, path, expected, fields):
    """The same beside what the package reads."""
    reader = gguf.GGUFReader(path)
    check(f"{name}: tensors", len(reader.tensors) == len(expected))
    for theirs, tensor in zip(reader.tensors, expected):
        what = f"{name}: {tensor.name}"
        check(what, theirs.name == tensor.name and theirs.tensor_type == tensor.kind
              and theirs.shape.tolist() == list(reversed(tensor.shape)))
        check(f"{what}: bytes", theirs.data.tobytes() == tensor.data.tobytes())
        check(f"{what}: alignment", theirs.data_offset % reader.alignment == 0)
    for key, value in fields.items():
        found = reader.fields[key].contents() if key in reader.fields else None
        check(f"{name}: {key}", found == value, f"expected {value!r}, found {found!r}")


items = list(tensors())
texts = {key: shown(value, kind) for key, value, kind, _ in metadata()}
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for alignment in (None, 64, 8):
        name = f"alignment {alignment}"
        theirs, ours = folder / "theirs.gguf", folder / "ours.gguf"
        write(theirs, items, alignment)
        compare_dump(f"read, {name}", theirs, items, texts)
        subprocess.run([PROGRAM, "copy", theirs, ours, "gguf"], check=True)
        source = gguf.GGUFReader(theirs)
        kept = {key: field.contents() for key, field in source.fields.items() if not key.startswith("GGUF.")}
        compare_reader(f"written, {name}", ours, items, {**kept, "general.quantization_version": 2})
        compare_dump(f"written and read, {name}", ours, items, texts)
        # Nothing but the version of the blocks is added: the rest is the same file.
        added = b"".join([len("general.quantization_version").to_bytes(8, "little"),
                          b"general.quantization_version", (4).to_bytes(4, "little"), (2).to_bytes(4, "little")])
        data = ours.read_bytes()
        infos = slice(24, source.tensors[0].field.offset)
        check(f"{name}: metadata", data[infos] == theirs.read_bytes()[infos])
        check(f"{name}: what is added", data[infos.stop:].startswith(added))
    # Not from GGUF: metadata of zeropoint's own.
    plain = [t for t in items if t.kind in PLAIN]
    write(folder / "a.gguf", plain, None)
    subprocess.run([PROGRAM, "copy", folder / "a.gguf", folder / "a.safetensors", "safetensors"], check=True)
    subprocess.run([PROGRAM, "copy", folder / "a.safetensors", folder / "b.gguf", "gguf"], check=True)
    order = {t.name: t for t in plain}
    compare_reader("from safetensors", folder / "b.gguf",
                   [order[t.name] for t in gguf.GGUFReader(folder / "b.gguf").tensors],
                   {"general.architecture": "llama", "a.uint8": "200"})
print(f"{counts['compared']} compared, {counts['differ']} differ")
sys.exit(counts["differ"] != 0)
