#!/usr/bin/env bash
# prepare_test.sh SOURCE: what scripts/prepare.sh installs, seen by a made-up apt that only takes
# notes, in a made-up project with its own packages.txt.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/project/scripts"
cp "$source/scripts/prepare.sh" "$work/project/scripts/"
cat >"$work/project/packages.txt" <<'ROWS'
# name kind what for
here          build  is there
old|renamed   build  has two names
needed        build  the build's sake
tested        test   the tests' sake
ROWS
printf '%s\n' "foreign test/$HOSTTYPE this machine's sake" 'absent test/pdp11 that of another' \
  >>"$work/project/packages.txt"
printf '%s\n' '#!/bin/sh' 'printf "installed here\ninstalled renamed\nconfig-files needed\n"' >"$work/bin/dpkg-query"
# shellcheck disable=SC2016 # for the script that is written
printf '%s\n' '#!/bin/sh' 'echo "$@" >>"'"$work"'/calls"' >"$work/bin/apt-get"
# sudo without a password, where this test is not run by root.
# shellcheck disable=SC2016
printf '%s\n' '#!/bin/sh' 'exec "$@"' >"$work/bin/sudo"
chmod +x "$work"/bin/*
export PATH=$work/bin:$PATH
unset ZEROPOINT_NO_INSTALL

try() { # KIND…: leaves what was said in `said` and what apt was asked for in `asked`
  : >"$work/calls"
  said=$(bash -c 'set -euo pipefail; source "$1/scripts/prepare.sh"; shift; install_packages "$@"' - \
    "$work/project" "$@" 2>&1) || return
  asked=$(sed -n 's/.* install --no-install-recommends //p' "$work/calls")
}
expect() { # WHAT FOUND EXPECTED
  if [[ $2 != "$3" ]]; then
    printf 'prepare_test: %s: expected "%s", found "%s"\n' "$1" "$3" "$2" >&2
    exit 1
  fi
}

try ci
expect "nothing missing, said" "$said" ""
expect "nothing missing, calls of apt" "$(cat "$work/calls")" ""

try build
expect "one missing, asked for" "$asked" "needed"
expect "one missing, said" "$said" "zeropoint: installing needed (the build's sake)"

try build test
expect "two kinds, asked for" "$asked" "needed tested foreign"

printf '%s\n' '#!/bin/sh' 'printf "installed here\ninstalled needed\n"' >"$work/bin/dpkg-query"
try build
expect "of two names the first" "$asked" "old"

ZEROPOINT_NO_INSTALL=1 try build
expect "ZEROPOINT_NO_INSTALL=1, calls of apt" "$(cat "$work/calls")" ""

printf '%s\n' '#!/bin/sh' 'echo no network; exit 100' >"$work/bin/apt-get"
if try build; then
  echo "prepare_test: apt's failure was lost" >&2
  exit 1
fi
