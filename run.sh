#!/usr/bin/env bash
# ./run.sh            builds zeropoint where needed and runs the study
# ./run.sh VERB …     does the same with another verb; its arguments pass through as they are
# Packages that are missing are installed with apt, unless ZEROPOINT_NO_INSTALL=1.
set -euo pipefail
# shellcheck source=scripts/prepare.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/scripts/prepare.sh"

install_packages build
build_preset release
(($# > 0)) || set -- study
exec "$root/build/release/tools/zeropoint/zeropoint" "$@"
