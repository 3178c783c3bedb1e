#!/usr/bin/env bash
# Plants each bug of agent/core/tests/planted/*.patch into a copy of the core
# and requires that the tests named in its header fail. Proves the tests.
#
# The header of a patch, before the diff:
#   Bug: what is wrong, in a few words
#   Caught by: test_name other_test_name
#
# Nothing in the working tree is changed. Needs bash, patch and cargo.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v patch >/dev/null || { echo 'patch is not installed; run `apt-get install patch`' >&2; exit 1; }

root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# Kept between runs, so that only the core is compiled for each bug.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/planted-bugs

# A workspace of the core alone, with the same versions.
cp -r Cargo.lock rust-toolchain.toml "$copy"
# Built without optimisation: each bug is compiled anew, and its tests are short.
sed -e '/^members = \[/,/^\]/c members = ["agent/core"]' \
    -e '/^\[profile.dev.package.evenkeel-core\]/,+1d' Cargo.toml >"$copy/Cargo.toml"

# A fresh core; only what differs from the last build is newer than it.
fresh_core() {
    rm -rf "$copy/agent"
    mkdir -p "$copy/agent"
    cp -r agent/core "$copy/agent/core"
}

# Runs the named tests; succeeds when every one of them ran and failed.
all_fail() {
    local log=$1 test
    shift
    for test in "$@"; do
        if ! grep -q "::$test \.\.\. FAILED" "$log"; then
            return 1
        fi
    done
}

run_tests() {
    local log=$1
    shift
    # PROPTEST_CASES stays as it is: what catches the bug here is what runs in CI.
    (cd "$copy" && RUST_BACKTRACE=0 cargo test --offline --quiet -p evenkeel-core --no-fail-fast \
        --test agent --test healing --test budgets -- \
        --format pretty "$@") >"$log" 2>&1
}

log=$copy/log
fresh_core
if ! run_tests "$log"; then
    cat "$log" >&2
    echo 'the tests fail without any planted bug; fix that first' >&2
    exit 1
fi

status=0
printf '%-9s %-52s %s\n' RESULT BUG 'CAUGHT BY'
for patch in agent/core/tests/planted/*.patch; do
    bug=$(sed -n 's/^Bug: //p' "$patch")
    read -ra tests <<<"$(sed -n 's/^Caught by: //p' "$patch")"
    fresh_core
    if [[ ${#tests[@]} -eq 0 ]]; then
        result='no test'
    elif ! patch --quiet --no-backup-if-mismatch -d "$copy" -p1 <"$patch" >"$log" 2>&1; then
        result='no patch'
    elif run_tests "$log" "${tests[@]}"; then
        result=MISSED
    elif grep -q '^error' "$log" && ! grep -q '^test result' "$log"; then
        result='no build'
    elif all_fail "$log" "${tests[@]}"; then
        result=caught
    else
        result=MISSED
    fi
    printf '%-9s %-52s %s\n' "$result" "$bug" "${tests[*]}"
    if [[ $result != caught ]]; then
        status=1
        sed 's/^/    /' "$log" | tail -n 20 >&2
    fi
done
exit "$status"
