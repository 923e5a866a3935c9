# Sourced after figure_server.sh by figures that need a live Prometheus.

# start_prometheus METRICS RULES: starts one that scrapes METRICS every second
# and evaluates RULES; sets prometheus.
start_prometheus() {
  local port
  cat >"$work/prometheus.yml" <<CONFIG
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$2]
scrape_configs:
  - job_name: tern
    static_configs: [{targets: ["$1"]}]
CONFIG
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  prometheus=127.0.0.1:$port
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address="$prometheus" --log.level=warn 2>"$work/prometheus.log" &
  server_pids+=("$!")
  for _ in $(seq 600); do
    curl -sf "http://$prometheus/-/ready" >/dev/null && return
    sleep 0.1
  done
  cat "$work/prometheus.log" >&2
  return 1
}

# make_traffic: calls that are answered, and some that are refused, for as long
# as a few scrapes take.
make_traffic() {
  local i
  for i in $(seq 12); do
    printf 'a gripping film\ntwo hours I will not get back\n' |
      "$TERN_BUILD/bin/tern" classify --server "$target" >/dev/null
    "$TERN_BUILD/bin/tern" classify --server "$target" --model absent x 2>/dev/null || true
    sleep 0.5
  done
}

# photograph_prometheus FOLDER: pictures of its pages, after three minutes of
# traffic that comes and goes.
photograph_prometheus() {
  local rate
  . "$TERN_REPO/script/figure_browser.sh"
  for rate in 20 60 20; do
    "$TERN_BUILD/bin/tern" bench --server "$target" --rate "$rate" --seconds 60s \
      "a gripping film" "two hours that I will not get back, and a plot without a surprise" >&2
  done
  node "$TERN_REPO/tests/end_to_end/prometheus_page.js" "http://$prometheus" "$1"
}
