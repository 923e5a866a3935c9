# What the scripts share; sourced, with the repository's root as the folder.

# Prints to stderr and ends the script.
die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# script/server may have configured the release build without them.
with_tests="-DTERN_TESTS=ON -DTERN_BENCH=ON"

# build_preset PRESET [TARGET...]: configures build/PRESET where needed, then
# builds the targets (none given: everything). Where CONFIGURE_OPTIONS is set
# it is given to cmake. Configuring is quiet unless it fails.
build_preset() {
  local preset=$1 log=build/$1/configure.log
  shift
  mkdir -p "build/$preset"
  # Ninja itself runs cmake again when a CMakeLists.txt has changed.
  if [ -n "${CONFIGURE_OPTIONS:-}" ] ||
    ! [ "build/$preset/build.ninja" -nt CMakePresets.json ]; then
    # shellcheck disable=SC2086  # one option a word
    if ! cmake --preset "$preset" ${CONFIGURE_OPTIONS:-} >"$log" 2>&1; then
      cat "$log" >&2
      die "could not configure build/$preset"
    fi
  fi
  cmake --build "build/$preset" --parallel "$(nproc)" ${1:+--target "$@"} ||
    die "could not build build/$preset"
}
