#!/usr/bin/env bash
# tests/peers/formats.sh [OPTION…]   codes of the floating-point formats beside those of the Python
# package ml_dtypes, on all fp16 and bf16 numbers, ties and 10^7 random floats; options go to
# formats.py (--help lists them). Makes a Python environment in build/peers/formats, and builds in
# ZEROPOINT_BUILD if that is set, else in build/test.
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
build=${ZEROPOINT_BUILD:-$root/build/test}
environment=$root/build/peers/formats

[[ -f $build/CMakeCache.txt ]] || (cd "$root" && cmake --preset test >&2)
cmake --build "$build" --target peer_formats >&2
[[ -x $environment/bin/pip ]] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6 >&2
exec "$environment/bin/python" "$root/tests/peers/formats.py" \
  --program "$build/tests/peer_formats" "$@"
