#!/usr/bin/env bash
# tests/peers/run.sh [formats|blocks|conventions]...   compares codes with other tools', in a Python environment of its own
# (build/peers). Not part of ./test.sh: it downloads packages.
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
cmake --build "$build/cmake" --target peer_codes >/dev/null
which=("$@")
((${#which[@]})) || which=(formats blocks conventions)
status=0
for name in "${which[@]}"; do
  say "$name"
  "$build/python/bin/python" "tests/peers/$name.py" "$build/cmake/tests/peer_codes" || status=1
done
exit "$status"
