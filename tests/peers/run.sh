#!/usr/bin/env bash
# tests/peers/run.sh [NAME]...   compares codes and results with other tools', in a Python environment
# of its own (build/peers). Not part of ./test.sh: it downloads packages.
#   formats      float formats: ml_dtypes
#   blocks       block formats: gguf, microxcaling's definition
#   conventions  scales, zero points, codes: ONNX Runtime's tool and operators
#   gguf_files   GGUF files and the numbers of ggml's blocks: gguf
#   torch        conventions, and PyTorch's observers; on x86-64 its package brings gigabytes of CUDA,
#                which nothing here uses, so that it is compared only when named
#   onnx_nodes   operators in all attributes: ONNX's reference and node tests, ONNX Runtime
#   onnx_containers  ONNX models with other initializers and operator sets: ONNX's checker, ONNX Runtime;
#                those of ../shared/data/models, or of $ZEROPOINT_DATA/models, too
#   quantized_models  what `zeropoint quantize` writes of the models of ZEROPOINT_DATA (../shared/data),
#                opened by safetensors, gguf, onnx and onnxruntime; MNIST's accuracy, float and quantized
set -euo pipefail
# shellcheck source=../../scripts/prepare.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/prepare.sh"
cd "$root"
install_packages build test
build=build/peers
[[ -d $build/python ]] || python3 -m venv "$build/python"
"$build/python/bin/pip" --quiet install --requirement tests/peers/requirements.txt
cmake -S . -B "$build/cmake" -G Ninja -DCMAKE_BUILD_TYPE=Release -DZEROPOINT_BUILD_TESTS=ON \
  -DZEROPOINT_BUILD_EXAMPLES=OFF >/dev/null
cmake --build "$build/cmake" --target peer_codes peer_tensors onnx_node_test peer_onnx zeropoint_command >/dev/null
which=("$@")
((${#which[@]})) || which=(formats blocks conventions gguf_files onnx_nodes onnx_containers quantized_models)
status=0
for name in "${which[@]}"; do
  say "$name"
  if [[ $name == torch ]]; then
    "$build/python/bin/pip" --quiet install --requirement tests/peers/requirements-torch.txt
    name=conventions
  fi
  arguments=("$build/cmake/tests/peer_codes")
  [[ $name == *_files ]] && arguments=("$build/cmake/tests/peer_tensors")
  if [[ $name == onnx_nodes ]]; then
    arguments=(--program "$build/cmake/tests/onnx_node_test" --cases "$build/onnx_cases")
  fi
  if [[ $name == onnx_containers ]]; then
    shopt -s nullglob
    arguments=(--program "$build/cmake/tests/peer_onnx" --cases "$build/onnx_models"
      "${ZEROPOINT_DATA:-../shared/data}"/models/*.onnx)
  fi
  if [[ $name == quantized_models ]]; then
    arguments=("$build/cmake/tools/zeropoint/zeropoint" "$build/quantized" "${ZEROPOINT_DATA:-../shared/data}")
  fi
  "$build/python/bin/python" "tests/peers/$name.py" "${arguments[@]}" || status=1
done
exit "$status"
