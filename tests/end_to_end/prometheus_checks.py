#!/usr/bin/env python3
# Asks a live Prometheus that scrapes tern-server under traffic.
"""Usage: prometheus_checks.py rules URL             each rule healthy, recordings with samples
       prometheus_checks.py dashboard URL JSON    samples for the expression of every panel
"""

import json
import sys
import time
import urllib.parse
import urllib.request

# For a sample of everything; a scrape a second.
PATIENCE_SECONDS = 60


def get(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}") as response:
        return json.load(response)["data"]


def samples(url, expression):
    return [sample for sample in get(url, "query", query=expression)["result"]
            if sample["value"][1] != "NaN"]


def await_samples(url, expressions):
    """Returns those that have none in the end."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        empty = [e for e in expressions if not samples(url, e)]
        if not empty or time.monotonic() > give_up:
            return empty
        time.sleep(1)


def check_rules(url):
    groups = get(url, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    recordings = [rule["name"] for rule in rules if rule["type"] == "recording"]
    alerts = [rule for rule in rules if rule["type"] == "alerting"]
    assert recordings and alerts, rules
    empty = await_samples(url, recordings)
    if empty:
        sys.exit(f"no samples: {', '.join(empty)}")
    rules = [rule for group in get(url, "rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["health"] == "ok", rule
        assert rule.get("state", "inactive") == "inactive", rule
    print(f"promtool: tests pass; live: {len(recordings)} recordings with samples, "
          f"{len(alerts)} alerts evaluated, 0 errors, 0 firing")


def panel_expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], expression.replace("$instance", ".*").replace("$job", "tern")


def check_dashboard(url, path):
    expressions = dict((e, title) for title, e in panel_expressions(json.load(open(path))))
    empty = await_samples(url, list(expressions))
    if empty:
        sys.exit("no samples: " + "; ".join(f"{expressions[e]}: {e}" for e in empty))
    print(f"{len(set(expressions.values()))} panels, {len(expressions)} expressions: "
          "all have samples under traffic")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "rules":
        check_rules(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "dashboard":
        check_dashboard(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
