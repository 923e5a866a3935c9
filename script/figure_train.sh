# What the figures of tern-train share; sourced. Builds tern-train (and the
# given targets) and sets $train to its build folder, $tern_train to the program
# and $work to a folder that goes away.

train=$TERN_REPO/build/train
tern_train=$train/bin/tern-train
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build_trainer TARGET...
build_trainer() {
  "$TERN_REPO/script/bootstrap" build test train
  {
    cmake --preset release -S "$TERN_REPO" -B "$train" -DTERN_TRAIN=ON \
      -DTERN_BENCH=OFF &&
      cmake --build "$train" --parallel "$(nproc)" --target "$@"
  } >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log" >&2
    exit 1
  }
}
