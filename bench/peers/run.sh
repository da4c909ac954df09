#!/usr/bin/env bash
# bench/peers/run.sh [--no-torch] [OPTION…]   int8 products of ONNX Runtime and PyTorch beside
# zeropoint's, at the same shapes on this machine; options go to compare.py (--help lists them).
# Makes a Python environment in build/peers-env. PyTorch from PyPI comes with CUDA on x86-64 Linux,
# several gigabytes that nothing here uses: --no-torch goes without it.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=../../scripts/prepare.sh
source "$here/../../scripts/prepare.sh"

torch=yes arguments=()
for argument in "$@"; do
  if [[ $argument == --no-torch ]]; then torch=no; else arguments+=("$argument"); fi
done

install_packages build
build_preset release

environment=$root/build/peers-env
[[ -x $environment/bin/pip ]] || python3 -m venv "$environment"
# with PACKAGE MODULE: installs what cannot be imported.
with() {
  "$environment/bin/python" -c "import $2" 2>/dev/null && return 0
  say "installing $1 into $environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$1" >&2
}
with numpy numpy
with onnx onnx
with onnxruntime onnxruntime
if [[ $torch == yes ]]; then
  "$environment/bin/python" -c 'import torch' 2>/dev/null ||
    say "PyTorch brings gigabytes of CUDA on x86-64 Linux; --no-torch goes without it"
  with torch torch
else
  arguments+=(--no-torch)
fi
exec "$environment/bin/python" "$here/compare.py" \
  --zeropoint "$root/build/release/tools/zeropoint/zeropoint" "${arguments[@]}"
