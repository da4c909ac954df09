#!/usr/bin/env bash
# ./test.sh [CTEST-OPTION…]   builds the tests where needed and runs them; for example
#   ./test.sh -R gemm            those whose name holds "gemm"
#   ZEROPOINT_PRESET=asan ./test.sh   those of another preset's build
# The last line is "N passed, N failed", and ", N skipped" where some were.
# Packages that are missing are installed with apt, unless ZEROPOINT_NO_INSTALL=1.
set -euo pipefail
# shellcheck source=scripts/prepare.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/prepare.sh"
preset=${ZEROPOINT_PRESET:-test}
results=$root/build/$preset.junit.xml

# A build that fails, like a run without tests, is one failure: nothing passed that could hide it.
stop() {
  say "$1"
  echo "0 passed, 1 failed"
  exit 1
}

install_packages build test || stop "no tests ran"
build_preset "$preset" || stop "no tests ran"

# Threads that wait must not spin: every test's pool shares the same cores.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
rm -f "$results"
status=0
# Only what went wrong is shown; ctest itself names failed and skipped tests at the end.
ctest --test-dir "$root/build/$preset" --output-on-failure --no-tests=error --timeout 600 \
  --parallel "$(nproc)" --output-junit "$results" "$@" 2>&1 |
  sed -u -E '/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: .* Passed +[0-9.]+ sec *$/d; /^ +Start +[0-9]+: /d
             /^Internal ctest changing into directory: /d; /^Test project /d
             /^Created JUnit results: /d; /^[0-9]+% tests passed, /d; /^$/d' || status=$?
[[ -s $results ]] || stop "no tests ran"

count() { grep -c "<testcase .*status=\"$1\"" "$results" || true; }
passed=$(count run) failed=$(count fail)
skipped=$(($(count notrun) + $(count disabled)))
((passed + failed > 0)) || stop "no tests ran"
# ctest is the judge of the whole: where it saw a failure that no test shows, that is one, too.
((status == 0 || failed > 0)) || failed=1
line="$passed passed, $failed failed"
((skipped == 0)) || line+=", $skipped skipped"
echo "$line"
((failed == 0))
