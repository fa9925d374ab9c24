#!/usr/bin/env bash
# What building and testing need on a fresh Debian 12: apt packages (when root, or sudo asks nothing) and a
# .venv with pinned tools. What is there is left alone, so a second call is instant and needs no network.
#
# PYTHON chooses the interpreter (3.11 or newer); default python3.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

python=${PYTHON:-python3}
requirements=scripts/requirements-dev.txt

has_python_module() { command -v "$python" >/dev/null && "$python" -c "import $1" 2>/dev/null; }
has_python_headers() {
  command -v "$python" >/dev/null &&
    [[ -e $("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h ]]
}

missing=()
need() {  # package check...
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
need g++ command -v g++
need make command -v make
need cmake command -v cmake
need ninja-build command -v ninja
need ccache command -v ccache
need git command -v git
need curl command -v curl
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need util-linux command -v flock
need libgtest-dev test -e /usr/include/gtest/gtest.h
need libxxhash-dev test -e /usr/include/xxhash.h
need libssl-dev test -e /usr/include/openssl/ssl.h
need libzstd-dev test -e /usr/include/zstd.h
need zlib1g-dev test -e /usr/include/zlib.h
need openjdk-17-jre-headless command -v java
need maven command -v mvn
need openssl command -v openssl
need python3 command -v "$python"
need python3-venv has_python_module ensurepip
need python3-dev has_python_headers

if ((${#missing[@]})); then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $(id -u) == 0 ]]; then
    root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    root=(sudo -n)
  else
    fail "missing: ${missing[*]}. As root: $install"
  fi
  command -v apt-get >/dev/null || fail "missing: ${missing[*]} (names of Debian 12's packages)"
  say "installing ${missing[*]}"
  log=$(mktemp)
  if ! { "${root[@]}" apt-get update -qq &&
         "${root[@]}" env DEBIAN_FRONTEND=noninteractive $install -qq; } </dev/null >"$log" 2>&1; then
    tail -20 "$log" >&2
    fail "could not install them. As root: $install"
  fi
  rm -f "$log"
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" --version 2>&1); 3.11 or newer is needed (PYTHON=/path/to/python3.11 scripts/setup.sh)"

stamp=.venv/stamp-$({ cat "$requirements"; "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; } |
  sha256sum | cut -c1-16)
if [[ -e $stamp ]]; then
  say "ready"
  exit
fi
say "installing the Python tools into .venv"
[[ -x .venv/bin/python ]] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" </dev/null
rm -f .venv/stamp-*
: >"$stamp"
say "ready"
