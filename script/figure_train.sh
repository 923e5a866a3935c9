# What the figures of tern-train share; sourced. Sets $tern_train to the program
# and $work to a folder that goes away.

. "$TERN_REPO/script/lib.sh"
tern_train=$TERN_BUILD/bin/tern-train
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build_trainer TARGET...
build_trainer() {
  "$TERN_REPO/script/bootstrap" build test train
  (cd "$TERN_REPO" && CONFIGURE_OPTIONS="$with_tests -DTERN_TRAIN=ON" \
    build_preset release "$@") >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log" >&2
    exit 1
  }
}
