#!/usr/bin/env bash
# Measures forecasting, detection and capacity on real series and writes
# agent/forecast/BENCHMARKS.md: accuracy beside published methods, times beside
# statsforecast in the same run.
#
# Needs cargo, python3 (for statsforecast, in a virtual environment in target/),
# and the series in ../shared/data or EVENKEEL_DATA; it fails without them.
set -euo pipefail
cd "$(dirname "$0")/.."

export EVENKEEL_DATA=${EVENKEEL_DATA:-$(cd .. && pwd)/shared/data}
[ -r "$EVENKEEL_DATA/m4_hourly/train.csv" ] || {
    echo "no series in $EVENKEEL_DATA; set EVENKEEL_DATA to the folder that has m4_hourly/, traces/ and nab/" >&2
    exit 1
}

flags=(${CARGO_FLAGS:-})
report=agent/forecast/BENCHMARKS.md
draft=$(mktemp)
trap 'rm -f "$draft"' EXIT

venv=target/bench-forecast
if ! "$venv/bin/python" -c 'import statsforecast' 2>/dev/null; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet 'statsforecast==2.1.1' >&2
fi

# Built first: nothing compiles while something is timed.
cargo bench "${flags[@]}" --no-run -p evenkeel-forecast -p evenkeel-sim >&2

bench() { cargo bench "${flags[@]}" --quiet -p "$1" --bench "$2"; }

{
    echo '# Benchmarks of forecasting, detection and capacity'
    echo
    echo "Written by \`make bench-forecast\` on $(date -u +%F), at $(git rev-parse --short HEAD 2>/dev/null || echo 'no commit'), on $(nproc) cores of"
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1). Do not edit; run it again."
    echo
    echo 'The series are those of the README of the benchmark folder: half of M4 Hourly, five production traces and one of web requests,'
    echo 'half of the Numenta Anomaly Benchmark. Answers are read by the scorer only, after all forecasts are made.'
    echo
    bench evenkeel-forecast m4
    echo
    echo '## The live forecaster, decisions once a minute and no guard: accuracy, coverage, times'
    echo
    echo '```text'
    bench evenkeel-forecast live
    echo '```'
    echo
    echo '### The same length with statsforecast, in this run'
    echo
    "$venv/bin/python" scripts/bench-statsforecast.py
    echo
    bench evenkeel-forecast nab
    echo
    bench evenkeel-sim capacity
} >"$draft"
cp "$draft" "$report"
echo "written: $report" >&2
