#!/usr/bin/env bash
# Plants each bug of simulations/planted/*.patch into a copy of the agent and requires that the
# simulator finds it: in one of the scenarios of its header, with a seed from 1 to SEEDS, as a
# violation of the invariant of its header. Without any bug all of them must pass.
#
# The header of a patch, before the diff:
#   Bug: what is wrong, in a few words
#   Caught by: scenario invariant
# with one line `Caught by` for each scenario in which it has to be found. A scenario is a file
# of simulations/scenarios/ or simulations/planted/, without `.yaml`.
#
# Nothing in the working tree is changed. Needs bash, patch and cargo.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v patch >/dev/null || { echo 'patch is not installed; run `apt-get install patch`' >&2; exit 1; }

# Why 40: four times what the shyest of the bugs needs.
SEEDS=${SEEDS:-40}

root=$PWD
# Both kept between runs: only what a bug changes, and what stands on it, is compiled anew.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/planted-bugs-sim
copy=$CARGO_TARGET_DIR/copy
log=$CARGO_TARGET_DIR/log

# A workspace of the agent's decisions and the simulator, with the same versions.
rm -rf "$copy"
mkdir -p "$copy/agent"
cp -r Cargo.lock rust-toolchain.toml simulations "$copy"
cp -r agent/core agent/forecast "$copy/agent"
sed -e '/^members = \[/,/^\]/c members = ["agent/core", "agent/forecast", "simulations"]' \
    Cargo.toml >"$copy/Cargo.toml"
# Each bug is compiled anew and runs for seconds only, so both have to be quick.
cat >>"$copy/Cargo.toml" <<'PROFILE'

[profile.hunt]
inherits = "release"
opt-level = 1
debug = 0
incremental = true
codegen-units = 64
PROFILE

build() {
    (cd "$copy" && cargo build --offline --quiet --profile hunt -p evenkeel-sim --bin hunt) >"$log" 2>&1
}

file_of() {
    local name=$1 folder
    for folder in scenarios planted; do
        if [[ -f $copy/simulations/$folder/$name.yaml ]]; then
            echo "$copy/simulations/$folder/$name.yaml"
            return
        fi
    done
    echo "$name.yaml is in neither simulations/scenarios/ nor simulations/planted/" >&2
    return 1
}

hunt() {
    "$CARGO_TARGET_DIR/hunt/hunt" --seeds "$SEEDS" "$@" >"$log" 2>&1
}

# All lines of all headers, as `scenario invariant`.
mapfile -t scenarios < <(sed -n 's/^Caught by: \([^ ]*\) .*/\1/p' simulations/planted/*.patch | sort -u)
if ! build; then
    cat "$log" >&2
    exit 1
fi
for scenario in "${scenarios[@]}"; do
    file=$(file_of "$scenario")
    if ! hunt "$file"; then
        cat "$log" >&2
        echo 'a scenario fails without any planted bug; fix that first' >&2
        exit 1
    fi
done

status=0
for patch in simulations/planted/*.patch; do
    began=$SECONDS
    bug=$(sed -n 's/^Bug: //p' "$patch")
    result=caught
    found=()
    if ! patch --quiet --no-backup-if-mismatch -d "$copy" -p1 <"$patch" >"$log" 2>&1; then
        echo "no patch: $bug"
        sed 's/^/    /' "$log" | tail -n 20 >&2
        exit 1
    fi
    if ! build; then
        result='no build'
    fi
    while [[ $result == caught ]] && read -r scenario invariant; do
        # 1 is a find; 0 is none.
        file=$(file_of "$scenario")
        if hunt --for "$invariant" "$file" || ! grep -q " seed " "$log"; then
            result=MISSED
            found+=("$scenario, seeds 1 to $SEEDS: no $invariant")
        else
            found+=("$(sed 's/ (at [0-9]*)$//' "$log")")
        fi
    done < <(sed -n 's/^Caught by: //p' "$patch")
    if [[ ${#found[@]} -eq 0 && $result == caught ]]; then
        result='no scenario'
    fi
    echo "$result: $bug ($((SECONDS - began)) s)"
    if [[ ${#found[@]} -ne 0 ]]; then
        printf '    by %s\n' "${found[@]}"
    fi
    if [[ $result != caught ]]; then
        status=1
        sed 's/^/    /' "$log" | tail -n 20 >&2
    fi
    # Backwards, not copied anew: only what the bug had changed is compiled again.
    patch --quiet --no-backup-if-mismatch -R -d "$copy" -p1 <"$patch" >/dev/null
done
exit "$status"
