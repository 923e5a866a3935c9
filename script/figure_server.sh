# Sourced by figures that need a tern-server; started ones end with the figure.

work=$(mktemp -d)
server_pids=()
trap 'kill "${server_pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# start_server FLAG...: starts one on free ports and waits until it serves; sets
# target, metrics and server_pid.
start_server() {
  local log=$work/server-${#server_pids[@]}.log
  "$TERN_BUILD/bin/tern-server" --listen=127.0.0.1:0 \
    --metrics-listen=127.0.0.1:0 --lame-duck=0s "$@" >"$log" 2>&1 &
  server_pid=$!
  server_pids+=("$server_pid")
  for _ in $(seq 3000); do
    kill -0 "$server_pid" 2>/dev/null || { cat "$log" >&2; return 1; }
    grep -q '^metrics on ' "$log" && break
    sleep 0.02
  done
  target=$(sed -n 's/^listening on //p' "$log")
  metrics=$(sed -n 's/^metrics on //p' "$log")
  "$TERN_BUILD/bin/tern" health --server "$target" --wait 60s >/dev/null
}

# classify_dev: SST-2 dev through the server, a JSON object a line.
classify_dev() {
  tail -n +2 "$TERN_DATA/data/SST-2/dev.tsv" | cut -f1 |
    "$TERN_BUILD/bin/tern" classify --server "$target" --json --logits
}

# compare_dev JSON [GOLDEN]: prints "RIGHT MAX_DIFFERENCE MEAN_DIFFERENCE".
compare_dev() {
  python3 - "$TERN_DATA/data/SST-2/dev.tsv" "$@" <<'PYTHON'
import json, sys
truth = [int(line.rstrip("\n").split("\t")[1]) for line in open(sys.argv[1]).readlines()[1:]]
results = [json.loads(line) for line in open(sys.argv[2])]
assert len(results) == len(truth), (len(results), len(truth))
right = sum(r["labels"][0]["index"] == t for r, t in zip(results, truth))
differences = [0.0]
if len(sys.argv) > 3:
    golden = [[float(x) for x in line.split()] for line in open(sys.argv[3]) if not line.startswith("#")]
    assert len(golden) == len(results), (len(golden), len(results))
    differences = [abs(a - b) for r, g in zip(results, golden) for a, b in zip(r["logits"], g, strict=True)]
print(right, max(differences), sum(differences) / len(differences))
PYTHON
}
