#!/usr/bin/env bash
# Installs what the tests talk to: Prometheus, HAProxy and a browser without windows
# (Debian packages) and moto's server (virtual environment in target/test-parts). Does nothing
# where all are in place.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=target/test-parts
requirements=scripts/test-parts-requirements.txt

say() { printf 'test-parts: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# One at a time: two runs in one folder would clear each other's environment.
mkdir -p "$parts"
if command -v flock >/dev/null; then
    exec 9>"$parts/lock"
    flock 9
fi

# Runs a command as root: directly, or through sudo without asking for a password
# where nobody could type one.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# apt_install PROGRAM PACKAGE…: installs the packages; PROGRAM is what we need them for.
updated=no
apt_install() {
    local program=$1
    shift
    command -v apt-get >/dev/null || fail \
        "\`$program\` is missing and this is not a Debian-like machine: put \`$program\` into PATH (Debian packages: $*), then run \`make test-parts\` again"
    say "installing $* (for \`$program\`)"
    if [ "$updated" = no ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 update -qq >&2 || fail \
            "\`apt-get update\` failed or needs root: run \`apt-get update && apt-get install $*\` as root, then \`make test-parts\` again"
        updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-install-recommends "$@" >&2 || fail \
        "\`apt-get install $*\` failed or needs root: run it as root, then \`make test-parts\` again"
    hash -r
    command -v "$program" >/dev/null || fail "\`$program\` is not in PATH although $* is installed"
}

for tool in prometheus promtool; do
    if ! command -v "$tool" >/dev/null; then
        apt_install "$tool" prometheus
        # The package may have started a server on port 9090 that nobody asked for.
        if [ -d /run/systemd/system ]; then
            as_root systemctl disable --now prometheus >/dev/null 2>&1 || true
        elif [ -x /etc/init.d/prometheus ]; then
            as_root /etc/init.d/prometheus stop >/dev/null 2>&1 || true
        fi
    fi
done
# Not in the PATH of everybody.
export PATH=$PATH:/usr/sbin
if ! command -v haproxy >/dev/null; then
    apt_install haproxy haproxy
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now haproxy >/dev/null 2>&1 || true
    elif [ -x /etc/init.d/haproxy ]; then
        as_root /etc/init.d/haproxy stop >/dev/null 2>&1 || true
    fi
fi
command -v setpriv >/dev/null || apt_install setpriv util-linux
# The report's page is looked at in it. 64 MB against the 81 MB of `chromium`.
command -v chromium-headless-shell >/dev/null ||
    apt_install chromium-headless-shell chromium-headless-shell

command -v python3 >/dev/null || apt_install python3 python3 python3-venv
python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv python3-venv

# The stamp names what was installed, and is written last: an interrupted install is
# done again, and so is one for other requirements, another Python or another folder.
stamp=$parts/installed
wanted=$(cat "$requirements"; python3 --version; pwd)
if [ ! -x "$parts/venv/bin/moto_server" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "installing moto's server into $parts/venv"
    rm -f "$stamp"
    python3 -m venv --clear "$parts/venv"
    "$parts/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --requirement "$requirements" >&2 || fail \
        "\`pip install -r $requirements\` failed: is a Python package index reachable? (PIP_INDEX_URL names another)"
    printf '%s\n' "$wanted" >"$stamp"
fi

say "$(prometheus --version 2>&1 | head -n 1 | cut -d' ' -f1-3), moto $("$parts/venv/bin/python" -c 'import importlib.metadata as m; print(m.version("moto"))')"
