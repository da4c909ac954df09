#!/usr/bin/env bash
# tests/peers/onnx_nodes.sh [OPTION…]   zeropoint's ONNX operators in all their attributes beside
# ONNX's reference implementation and ONNX Runtime; then every one of ONNX's own node tests for
# them. Options go to onnx_nodes.py (--help lists them). Makes a Python environment in
# build/peers/onnx_nodes, and builds in ZEROPOINT_BUILD if that is set, else in build/test.
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
build=${ZEROPOINT_BUILD:-$root/build/test}
environment=$root/build/peers/onnx_nodes

[[ -f $build/CMakeCache.txt ]] || (cd "$root" && cmake --preset test >&2)
cmake --build "$build" --target onnx_node_test >&2
[[ -x $environment/bin/pip ]] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check \
  onnx==1.22.0 onnxruntime==1.32.0 ml_dtypes==0.6.0 numpy==2.4.6 >&2
exec "$environment/bin/python" "$root/tests/peers/onnx_nodes.py" \
  --program "$build/tests/onnx_node_test" --cases "$environment/cases" "$@"
