# shellcheck shell=bash
# What run.sh, test.sh and .ci/run share: packages that are missing, and a quiet build.
# Sourced, never run. Everything it says goes to standard error.

# The folder of the project, from whatever folder its scripts are called.
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

say() { printf 'zeropoint: %s\n' "$*" >&2; }

# install_packages KIND…: installs what packages.txt names for those kinds and is not there.
# A row may name alternatives, `a|b`: any of them serves, the first is installed; and a machine,
# `kind/x86_64`: others go without.
install_packages() {
  local kinds=" $* ${*/%//$HOSTTYPE} "
  local names kind purpose name have missing=() reasons=()
  # Not Debian's: the user brings the libraries, and CMake names the one that it cannot find.
  command -v dpkg-query >/dev/null || return 0
  # One query for all: asking for each takes longer than everything else in a run that is up to date.
  have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null || true)
  while read -r names kind purpose; do
    [[ -z $names || $names == \#* || $kinds != *" $kind "* ]] && continue
    for name in ${names//|/ }; do
      [[ $'\n'$have$'\n' == *$'\n'"installed $name"$'\n'* ]] && continue 2
    done
    missing+=("${names%%|*}")
    reasons+=("${names%%|*} ($purpose)")
  done <"$root/packages.txt"
  ((${#missing[@]} == 0)) && return 0

  local list
  printf -v list '%s, ' "${reasons[@]}"
  if [[ ${ZEROPOINT_NO_INSTALL:-0} == 1 ]]; then
    say "not installed, as ZEROPOINT_NO_INSTALL=1 asks: ${list%, }"
    return 0
  fi
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      say "these packages are missing and there is neither root nor sudo; as root: apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing ${list%, }"
  mkdir -p "$root/build"
  local log=$root/build/apt.log
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120)
  # Standard input is closed to apt, so that `./run.sh VERB <file` still reads its file.
  if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    say "apt-get failed (above: the end of $log)"
    return 1
  fi
}

# build_preset NAME: configures if needed and builds into build/NAME; log: build/NAME.log.
# The body is a subshell: its lock and its folder end with it.
build_preset() (
  local name=$1
  local tree=$root/build/$name log=$root/build/$name.log fresh=()
  mkdir -p "$tree" && cd "$root" || exit
  # A second run that starts meanwhile waits here instead of building into the same folder.
  if command -v flock >/dev/null; then
    exec 9>"$root/build/.$name.lock"
    flock 9
  fi
  : >"$log"
  # A tree that was moved or copied still names its old place: begin it anew.
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$tree/CMakeCache.txt" || fresh=(--fresh)
  if ((${#fresh[@]})) || [[ ! -e $tree/build.ninja || CMakePresets.json -nt $tree/build.ninja ]]; then
    if ! cmake --preset "$name" "${fresh[@]}" >>"$log" 2>&1 </dev/null; then
      tail -n 40 "$log" >&2
      say "cmake --preset $name failed (above: the end of $log)"
      exit 1
    fi
  fi
  if ! cmake --build "$tree" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" 2>&1 </dev/null |
    tee -a "$log" | show_progress "$name"; then
    # The first failure on, which is where to look; without one, the end.
    local first
    first=$(grep -n -m 1 '^FAILED: ' "$log" | cut -d : -f 1 || true)
    if [[ $first ]]; then sed -n "$first,$((first + 80))p" "$log" >&2; else tail -n 40 "$log" >&2; fi
    say "the build of preset $name failed (all of it: $log)"
    exit 1
  fi
)

# show_progress NAME: ninja's lines in; one line out, rewritten where it is a terminal. A build that
# has nothing to do says nothing.
show_progress() {
  local line told=no at=-1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    local n=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
    ((of > 3)) || continue
    if [[ -t 2 ]]; then
      ((n * 100 / of != at)) && printf '\rzeropoint: building %s: %d %% ' "$1" "$((at = n * 100 / of))" >&2
    elif [[ $told == no ]]; then
      say "building $1: $of steps"
    fi
    told=yes
  done
  [[ -t 2 && $told == yes ]] && printf '\r\033[K' >&2
  return 0
}
