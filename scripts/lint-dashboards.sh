#!/usr/bin/env bash
# Checks the dashboards in iac/dashboards: every query parses, and asks only for metrics that
# iac/dashboards/metrics.txt has; every metric is looked at by a dashboard or an alert.
# Needs promtool and Python 3 (`make test-parts`).
set -euo pipefail
cd "$(dirname "$0")/.."

rules=$(mktemp --suffix .yaml)
trap 'rm -f "$rules"' EXIT

python3 - "$rules" <<'PYTHON'
import glob, json, re, sys

NAME = re.compile(r"\bevenkeel_[a-z0-9_]+")
known = set(open("iac/dashboards/metrics.txt").read().split())
# What Grafana puts in; any value does to see whether the query parses.
VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}
faults, groups, seen = [], [], set()
paths = sorted(glob.glob("iac/dashboards/*.json"))
for path in paths:
    board = json.load(open(path))
    variables = {it["name"] for it in board["templating"]["list"]}
    texts = [it.get("definition", "") for it in board["templating"]["list"]]
    rules, ids = [], set()
    for panel in board["panels"]:
        where = f"{path}: panel `{panel['title']}`"
        if panel["id"] in ids:
            faults.append(f"{where}: id {panel['id']} is there twice")
        ids.add(panel["id"])
        if not panel["targets"]:
            faults.append(f"{where} has no query")
        for target in panel["targets"]:
            expr = target["expr"]
            texts.append(expr)
            for name, value in VARIABLES.items():
                expr = expr.replace(name, value)
            for name in re.findall(r"\$\{?([a-z_]+)\}?", expr):
                if name not in variables:
                    faults.append(f"{where}: there is no variable `{name}`")
            expr = re.sub(r"\$\{?[a-z_]+\}?", "x", expr)
            record = f"panel{panel['id']}:{target['refId']}"
            rules.append({"record": record, "expr": expr})
    for text in texts:
        for name in NAME.findall(text):
            seen.add(name)
            if name not in known:
                faults.append(f"{path}: `{name}` is not in iac/dashboards/metrics.txt")
    groups.append({"name": path, "rules": rules})
if not paths:
    faults.append("there is no dashboard in iac/dashboards")
seen |= set(NAME.findall(open("iac/alerts/evenkeel.rules.yaml").read()))
# Of which there is more than a person looks at; the daemon's `/metrics` has it.
for name in sorted(known - seen - {"evenkeel_budget_burn_rate"}):
    faults.append(f"iac/dashboards/metrics.txt: no dashboard and no alert asks for `{name}`")
for fault in faults:
    print(fault, file=sys.stderr)
# JSON is YAML.
json.dump({"groups": groups}, open(sys.argv[1], "w"))
sys.exit(bool(faults))
PYTHON

promtool check rules "$rules" | sed "s#$rules#dashboards#"
