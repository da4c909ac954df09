#!/usr/bin/env bash
# What a user of the installed library does, one step a test:
#   install_test.sh install  SOURCE BUILD WORK            installs BUILD under WORK/prefix, then moves it
#   install_test.sh examples SOURCE BUILD WORK CXX FLAGS  examples/ as a project of its own
#   install_test.sh readme   SOURCE BUILD WORK CXX FLAGS  the same with every program in README.md and docs/
#   install_test.sh pkg-config SOURCE BUILD WORK CXX FLAGS
set -euo pipefail
step=$1 source=$2 build=$3 work=$4 cxx=${5:-} flags=${6:-}

fail() {
  echo "install_test: $*" >&2
  exit 1
}

# build_project FOLDER: a project that finds zeropoint where it was moved to; runs all that it built.
build_project() {
  local out=$work/build-$step program
  cmake -S "$1" -B "$out" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_BUILD_TYPE=Release
  cmake --build "$out" --parallel 2
  for program in "$out"/example_*; do
    [[ -x $program ]] || fail "$1 built no program"
    echo "== ${program##*/}"
    "$program"
  done
}

case $step in
  install)
    rm -rf "$work"
    # A header that was removed must not survive in the prefix, nor an install by someone else.
    cmake --install "$build" --prefix "$work/prefix"
    # Neither this checkout nor a library's place on this machine may be written into the package.
    if grep -rnE -e "$source" -e "$build" -e '/usr/(local/)?(lib|include)' "$work/prefix/lib"*/cmake "$work/prefix/lib"*/*/cmake \
      "$work/prefix/lib"*/*/pkgconfig "$work/prefix/lib"*/pkgconfig 2>/dev/null; then
      fail "the lines above name places of this machine"
    fi
    mv "$work/prefix" "$work/moved"
    if [[ -e $work/moved/bin/zeropoint ]]; then "$work/moved/bin/zeropoint" --version; fi
    ;;
  examples)
    build_project "$source/examples"
    ;;
  readme)
    project=$work/readme
    rm -rf "$project"
    mkdir -p "$project"
    for document in "$source/README.md" "$source"/docs/*.md; do
      [[ -e $document ]] || continue
      # A ```cpp block with a main is a program; others are fragments for the eye.
      awk -v stem="$project/$(basename "$document" .md)" '
        /^```cpp *$/ { inside = 1; text = ""; next }
        /^```/ && inside { inside = 0; if (text ~ /int main/) { printf "%s", text > (stem "_" ++n ".cpp") } }
        inside { text = text $0 "\n" }' "$document"
    done
    compgen -G "$project/*.cpp" >/dev/null || { echo "[  SKIPPED ] no document holds a program"; exit 0; }
    cp "$source/examples/CMakeLists.txt" "$project/"
    build_project "$project"
    ;;
  pkg-config)
    command -v pkg-config >/dev/null || { echo "[  SKIPPED ] there is no pkg-config"; exit 0; }
    PKG_CONFIG_PATH=$(find "$work/moved" -type d -name pkgconfig)
    export PKG_CONFIG_PATH
    read -r -a options <<<"$flags $(pkg-config --cflags zeropoint)"
    read -r -a libraries <<<"$(pkg-config --libs zeropoint)"
    "$cxx" "${options[@]}" "$source/examples/quantized_product.cpp" -o "$work/by-pkg-config" "${libraries[@]}"
    LD_LIBRARY_PATH=$(pkg-config --variable=libdir zeropoint) "$work/by-pkg-config"
    ;;
  *)
    fail "no such step: $step"
    ;;
esac
