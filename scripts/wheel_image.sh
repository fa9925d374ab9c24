#!/usr/bin/env bash
# What a manylinux image (AlmaLinux 9) lacks, and the third-party libraries: cibuildwheel calls it once in a container.
#
# The image has no static OpenSSL, and its zstd and zlib are shared, too: auditwheel puts copies into the wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
dnf install -y epel-release
dnf config-manager --set-enabled crb
dnf install -y ccache ninja-build openssl-devel libzstd-devel zlib-devel xxhash-devel perl
scripts/deps.sh
