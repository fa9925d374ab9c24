#!/usr/bin/env bash
# Third-party libraries from pinned sources, built once into a cached prefix outside the tree.
#
#   scripts/deps.sh            builds what is missing (all of it: about 6 minutes on two cores), then instant
#   scripts/deps.sh --prefix   prints the prefix and builds nothing
#
# Each library lies in a folder of the cache that is named by a hash of its pins and flags, so a changed pin
# never meets an old build and costs no other library's; the prefix is hard links to all of them.
# A source counts when the content that we compile has the pinned hash, wherever it was found: first the
# project's own release, then a package that carries it whole.
set -euo pipefail

ROCKSDB_VERSION=10.4.2
ROCKSDB_URL=https://github.com/facebook/rocksdb/archive/refs/tags/v${ROCKSDB_VERSION}.tar.gz
ROCKSDB_CRATE=librocksdb-sys
ROCKSDB_CRATE_VERSION=0.17.3+10.4.2
ROCKSDB_TREE=93aa8a60b33eec9fd0e1bf9cbb1593e12a1b1c8fd6f26d5156de3e216d6d3015
ROCKSDB_FLAGS=(
  -DCMAKE_BUILD_TYPE=Release -DROCKSDB_BUILD_SHARED=OFF
  -DWITH_TESTS=OFF -DWITH_TOOLS=OFF -DWITH_BENCHMARK_TOOLS=OFF -DWITH_CORE_TOOLS=OFF -DWITH_GFLAGS=OFF
  -DWITH_TRACE_TOOLS=OFF -DWITH_LIBURING=OFF
  -DWITH_SNAPPY=OFF -DWITH_LZ4=OFF -DWITH_ZLIB=OFF -DWITH_ZSTD=OFF -DWITH_BZ2=OFF
  -DFAIL_ON_WARNINGS=OFF -DPORTABLE=westmere -DUSE_RTTI=ON
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON
  -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=8
)

SIMDJSON_VERSION=3.12.3
SIMDJSON_URL=https://github.com/simdjson/simdjson/releases/download/v${SIMDJSON_VERSION}
SIMDJSON_PYTHON_PACKAGE=pysimdjson==7.0.2
SIMDJSON_HEADER=d9db56c5fb2f1088baea32add602551edb1f434c2fe55abf79dcce74582e2dd7
SIMDJSON_SOURCE=fadc917cb07dd43dd255588995a5e360bebf9085c2335470fb77cdd2bfea5ab2
SIMDJSON_FLAGS=(-std=c++20 -O3 -DNDEBUG -march=x86-64-v2 -fPIC -fvisibility=hidden)

LIBRDKAFKA_VERSION=2.15.1
# A record without headers has a block of one byte, their count: the library allocates for it all the same, which was a
# fifth of the time of a job that reads.
LIBRDKAFKA_EDIT='s/if (unlikely(!RD_KAFKAP_BYTES_LEN(&rkm->rkm_u.consumer.binhdrs)))/if (RD_KAFKAP_BYTES_LEN(\&rkm->rkm_u.consumer.binhdrs) <= 1)/'
LIBRDKAFKA_URL=https://github.com/confluentinc/librdkafka/archive/refs/tags/v${LIBRDKAFKA_VERSION}.tar.gz
LIBRDKAFKA_NPM_PACKAGE=@confluentinc/kafka-javascript@1.10.1
LIBRDKAFKA_TREE=64eca491fa803b517bf204519a21b17d8ae138b1f22f42c3cced4b6139f2f990
# TLS, SASL by PLAIN, SCRAM and OAUTHBEARER, and all codecs. Not Kerberos (GSSAPI needs Cyrus SASL and its plugins at run
# time) and no tokens fetched by HTTP (curl). lz4 is the copy that it carries.
LIBRDKAFKA_FLAGS=(
  --enable-static --enable-ssl --enable-zstd --enable-zlib
  --disable-gssapi --disable-curl --disable-lz4-ext --disable-syslog --disable-debug-symbols
  --no-download --no-cache "--CFLAGS=-fPIC -fvisibility=hidden"
)
LIBRDKAFKA_HAS=(WITH_SSL WITH_ZSTD WITH_ZLIB WITH_SNAPPY WITH_SASL_SCRAM WITH_SASL_OAUTHBEARER)

# The tz database, compiled: it becomes a part of the program. IANA's 2026f is 2026.6 here.
TZDATA_VERSION=2026.6
TZDATA_URL=https://github.com/python/tzdata/archive/refs/tags/${TZDATA_VERSION}.tar.gz
TZDATA_PYTHON_PACKAGE=tzdata==${TZDATA_VERSION}
TZDATA_TREE=7ae56010dcf5e2274f9c9c66e66ab700304575ea9406243869f50a04bc22593c

CONNECT_SECONDS=5  # a release that does not answer by then is not waited for

cache=${WRACKLINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wrackline}
folder() { printf '%s/%s-%s' "$cache" "$1" "$(printf '%s' "${*:2}" | sha256sum | cut -c1-16)"; }
rocksdb_folder=$(folder rocksdb "$ROCKSDB_VERSION" "$ROCKSDB_TREE" "${ROCKSDB_FLAGS[@]}")
simdjson_folder=$(folder simdjson "$SIMDJSON_HEADER" "$SIMDJSON_SOURCE" "${SIMDJSON_FLAGS[@]}")
librdkafka_folder=$(folder librdkafka "$LIBRDKAFKA_VERSION" "$LIBRDKAFKA_TREE" "${LIBRDKAFKA_FLAGS[@]}" "$LIBRDKAFKA_EDIT")
tzdata_folder=$(folder tzdata "$TZDATA_VERSION" "$TZDATA_TREE")
prefix=$(folder deps "$rocksdb_folder" "$simdjson_folder" "$librdkafka_folder" "$tzdata_folder")

if [[ ${1:-} == --prefix ]]; then
  printf '%s\n' "$prefix"
  exit
fi

say() { printf 'deps: %s\n' "$*"; }
fail() { printf 'deps: %s\n' "$*" >&2; exit 1; }

# One hash over what is compiled: path and content of each source file, sorted. Tests are not compiled.
rocksdb_tree() {
  (cd "$1" && find CMakeLists.txt cmake cache db env file include logging memory memtable monitoring options port table \
     test_util tools trace_replay util utilities \
     -type f \( -name '*.cc' -o -name '*.h' -o -name '*.c' -o -name '*.in' -o -name '*.cmake' -o -name CMakeLists.txt \) \
     ! -name '*_test.cc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# The first line of simdjson's two files is the time at which they were put together.
simdjson_hash() { sed '1{/auto-generated on/d}' "$1" | sha256sum | cut -d' ' -f1; }

librdkafka_tree() {
  (cd "$1" && find configure configure.self mklove src -type f \
     \( -name '*.c' -o -name '*.h' -o -name 'configure*' -o -name 'Makefile*' \) ! -path src/Makefile.config -print0 |
     LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# The list of names, the version and the zones.
tzdata_tree() {
  (cd "$1" && { cat zones; head -1 zoneinfo/tzdata.zi; sed 's|^|zoneinfo/|' zones | LC_ALL=C sort | xargs sha256sum; } |
     sha256sum | cut -d' ' -f1)
}

fetch() {  # url file
  curl -fsSL --connect-timeout "$CONNECT_SECONDS" --speed-limit 20000 --speed-time 10 -o "$2" "$1" 2>/dev/null
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

need() {  # command package
  command -v "$1" >/dev/null && return
  say "no $1: installing Debian's $2"
  as_root apt-get update -qq >/dev/null 2>&1 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1 ||
    return 1
  command -v "$1" >/dev/null
}

rocksdb_from_release() {
  fetch "$ROCKSDB_URL" "$work/rocksdb.tar.gz" || return 1
  mkdir "$work/release" && tar -xzf "$work/rocksdb.tar.gz" -C "$work/release" --strip-components=1 || return 1
  rocksdb=$work/release
}

rocksdb_from_crate() {
  need cargo cargo-web || { say "cargo is needed for this source: apt-get install cargo-web, or https://rustup.rs"; return 1; }
  mkdir -p "$work/crate/src" && : >"$work/crate/src/lib.rs"
  cat >"$work/crate/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
$ROCKSDB_CRATE = { version = "=$ROCKSDB_CRATE_VERSION", default-features = false }
TOML
  (cd "$work/crate" && cargo vendor --quiet --versioned-dirs vendor >/dev/null) || return 1
  rocksdb=$work/crate/vendor/$ROCKSDB_CRATE-$ROCKSDB_CRATE_VERSION/rocksdb
  [[ -d $rocksdb ]]
}

find_rocksdb() {
  local source tree
  for source in release crate; do
    say "RocksDB $ROCKSDB_VERSION: fetching the $source"
    if ! "rocksdb_from_$source"; then
      say "RocksDB $ROCKSDB_VERSION: the $source does not answer"
    elif tree=$(rocksdb_tree "$rocksdb"); [[ $tree == "$ROCKSDB_TREE" ]]; then
      return
    else
      say "RocksDB $ROCKSDB_VERSION: the $source is not what was pinned ($tree), skipped"
    fi
  done
  fail "no source of RocksDB $ROCKSDB_VERSION could be used; it needs the network once"
}

simdjson_from_release() {
  mkdir -p "$work/simdjson-release"
  fetch "$SIMDJSON_URL/simdjson.h" "$work/simdjson-release/simdjson.h" &&
    fetch "$SIMDJSON_URL/simdjson.cpp" "$work/simdjson-release/simdjson.cpp" || return 1
  simdjson=$work/simdjson-release
}

python_with_pip() {
  python=${PYTHON:-python3}
  [[ -x .venv/bin/python ]] && python=.venv/bin/python
  "$python" -m pip --version >/dev/null 2>&1 || { say "$python has no pip: run scripts/setup.sh"; return 1; }
}

simdjson_from_package() {
  local python
  python_with_pip || return 1
  "$python" -m pip download --quiet --no-deps --no-binary :all: --dest "$work/sdist" "$SIMDJSON_PYTHON_PACKAGE" \
    >"$work/pip.log" 2>&1 || return 1
  mkdir "$work/package" && tar -xzf "$work"/sdist/*.tar.gz -C "$work/package" --strip-components=1 || return 1
  simdjson=$work/package/simdjson
}

find_simdjson() {
  local source
  for source in release package; do
    say "simdjson $SIMDJSON_VERSION: fetching the $source"
    if ! "simdjson_from_$source"; then
      say "simdjson $SIMDJSON_VERSION: the $source does not answer"
    elif [[ $(simdjson_hash "$simdjson/simdjson.h") == "$SIMDJSON_HEADER" &&
            $(simdjson_hash "$simdjson/simdjson.cpp") == "$SIMDJSON_SOURCE" ]]; then
      return
    else
      say "simdjson $SIMDJSON_VERSION: the $source is not what was pinned, skipped"
    fi
  done
  fail "no source of simdjson $SIMDJSON_VERSION could be used; it needs the network once"
}

librdkafka_from_release() {
  fetch "$LIBRDKAFKA_URL" "$work/librdkafka.tar.gz" || return 1
  librdkafka=$work/librdkafka-release
  mkdir "$librdkafka" && tar -xzf "$work/librdkafka.tar.gz" -C "$librdkafka" --strip-components=1
}

librdkafka_from_package() {
  need npm npm || { say "npm is needed for this source: apt-get install npm"; return 1; }
  mkdir "$work/npm"
  (cd "$work/npm" && npm pack --silent "$LIBRDKAFKA_NPM_PACKAGE" >/dev/null 2>&1 && tar -xzf ./*.tgz) || return 1
  librdkafka=$work/npm/package/deps/librdkafka
  [[ -d $librdkafka ]]
}

find_librdkafka() {
  local source tree
  for source in release package; do
    say "librdkafka $LIBRDKAFKA_VERSION: fetching the $source"
    if ! "librdkafka_from_$source"; then
      say "librdkafka $LIBRDKAFKA_VERSION: the $source does not answer"
    elif tree=$(librdkafka_tree "$librdkafka"); [[ $tree == "$LIBRDKAFKA_TREE" ]]; then
      return
    else
      say "librdkafka $LIBRDKAFKA_VERSION: the $source is not what was pinned ($tree), skipped"
    fi
  done
  fail "no source of librdkafka $LIBRDKAFKA_VERSION could be used; it needs the network once"
}

tzdata_from_release() {
  fetch "$TZDATA_URL" "$work/tzdata.tar.gz" || return 1
  mkdir "$work/tzdata-release" && tar -xzf "$work/tzdata.tar.gz" -C "$work/tzdata-release" --strip-components=1 ||
    return 1
  tzdata=$work/tzdata-release/src/tzdata
}

tzdata_from_package() {
  local python
  python_with_pip || return 1
  "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$work/tzdata-wheel" "$TZDATA_PYTHON_PACKAGE" \
    >"$work/pip.log" 2>&1 && "$python" -m zipfile -e "$work"/tzdata-wheel/*.whl "$work/tzdata-package" || return 1
  tzdata=$work/tzdata-package/tzdata
}

find_tzdata() {
  local source tree
  for source in release package; do
    say "tzdata $TZDATA_VERSION: fetching the $source"
    if ! "tzdata_from_$source"; then
      say "tzdata $TZDATA_VERSION: the $source does not answer"
    elif tree=$(tzdata_tree "$tzdata"); [[ $tree == "$TZDATA_TREE" ]]; then
      return
    else
      say "tzdata $TZDATA_VERSION: the $source is not what was pinned ($tree), skipped"
    fi
  done
  fail "no source of tzdata $TZDATA_VERSION could be used; it needs the network once"
}

build_tzdata() {
  find_tzdata
  mkdir "$1/share"
  cp -r "$tzdata/zoneinfo" "$1/share/"
  cp "$tzdata/zones" "$1/share/zoneinfo/"
}

# Each of these leaves lib/, include/ or share/ in the folder it is given.
build_simdjson() {
  find_simdjson
  say "simdjson $SIMDJSON_VERSION: compiling"
  c++ "${SIMDJSON_FLAGS[@]}" -I"$simdjson" -c "$simdjson/simdjson.cpp" -o "$work/simdjson.o"
  ar rcs "$1/lib/libsimdjson.a" "$work/simdjson.o"
  cp "$simdjson/simdjson.h" "$1/include/"
}

build_librdkafka() {
  find_librdkafka
  sed -i "$LIBRDKAFKA_EDIT" "$librdkafka/src/rdkafka_msg.c"
  grep -q 'binhdrs) <= 1)' "$librdkafka/src/rdkafka_msg.c" || fail "librdkafka: the edit of rdkafka_msg.c found no place"
  say "librdkafka $LIBRDKAFKA_VERSION: configuring"
  local what
  (cd "$librdkafka" && ./configure "${LIBRDKAFKA_FLAGS[@]}") >"$work/configure.log" 2>&1 ||
    { tail -30 "$work/configure.log" >&2; fail "librdkafka did not configure: scripts/setup.sh installs what it needs"; }
  for what in "${LIBRDKAFKA_HAS[@]}"; do
    grep -q "^#define $what 1" "$librdkafka/config.h" || fail "librdkafka found no $what: run scripts/setup.sh"
  done
  say "librdkafka $LIBRDKAFKA_VERSION: compiling (about a minute on two cores)"
  make -C "$librdkafka/src" -j"$(nproc)" librdkafka.a >"$work/make.log" 2>&1 ||
    { tail -30 "$work/make.log" >&2; fail "librdkafka did not compile"; }
  cp "$librdkafka/src/librdkafka.a" "$1/lib/"
  mkdir "$1/include/librdkafka"
  cp "$librdkafka"/src/rdkafka{,_mock}.h "$1/include/librdkafka/"
}

build_rocksdb() {
  find_rocksdb
  say "RocksDB $ROCKSDB_VERSION: configuring"
  cmake -S "$rocksdb" -B "$work/build" -G Ninja "${ROCKSDB_FLAGS[@]}" >"$work/cmake.log" 2>&1 ||
    { tail -30 "$work/cmake.log" >&2; fail "RocksDB did not configure"; }
  say "RocksDB $ROCKSDB_VERSION: compiling (the long part: about 5 minutes on two cores)"
  NINJA_STATUS='deps: RocksDB [%f/%t, %es] ' ninja -C "$work/build" rocksdb
  cp "$work/build/librocksdb.a" "$1/lib/"
  cp -r "$rocksdb/include/rocksdb" "$1/include/"
}

# What has the mark of being complete is moved into place; a folder without it was left by hand.
place() {  # made folder
  : >"$1/complete"
  rm -rf "$2"
  mv "$1" "$2"
}

cd "$(dirname "$0")/.."
if [[ -e $prefix/complete ]]; then
  say "ready in $prefix"
  exit
fi
[[ $(uname -m) == x86_64 ]] || fail "only x86-64 is built so far"
for tool in cmake ninja make c++ cc curl flock; do
  command -v "$tool" >/dev/null || fail "$tool is missing: run scripts/setup.sh"
done

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
if [[ -e $prefix/complete ]]; then
  say "ready in $prefix"
  exit
fi
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
started=$SECONDS
mkdir "$work/prefix"
for library in tzdata simdjson librdkafka rocksdb; do
  place_of=${library}_folder
  if [[ ! -e ${!place_of}/complete ]]; then
    mkdir -p "$work/$library-made/lib" "$work/$library-made/include"
    "build_$library" "$work/$library-made"
    place "$work/$library-made" "${!place_of}"
  fi
  cp -al "${!place_of}/." "$work/prefix/"
done
rm "$work/prefix/complete"  # a link to that of a library
place "$work/prefix" "$prefix"
say "built in $((SECONDS - started)) s into $prefix"
