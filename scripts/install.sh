#!/usr/bin/env bash
# Installs what building and testing need and the machine lacks: Debian packages by apt, as root or by sudo; elsewhere it
# says what to install. Quiet where nothing is missing. Under CI a missing tool is an error; without CI only one that
# building needs is (the tests say themselves what they leave out).
set -euo pipefail

# What is looked for, and the Debian package that has it. SQLite, OpenSSL and libpq are built from source.
to_build=(cc:gcc make:make perl:perl)
to_test=(initdb:postgresql pgbouncer:pgbouncer nats-server:nats-server curl:curl openssl:openssl venv:python3-venv node:nodejs npm:npm chromedriver:chromium-driver)

has() {
  case "$1" in
    # What Debian has without the package `perl` lacks modules that OpenSSL's build asks for.
    perl) perl -MFindBin -MIPC::Cmd -MFile::Compare -e 1 2>/dev/null ;;
    # Debian keeps Postgres's own programs out of PATH.
    initdb) command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
    # Debian keeps what `python3 -m venv` needs out of python3.
    venv) python3 -c "import venv, ensurepip" 2>/dev/null ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
  esac
}

# The Debian packages of those that are not there.
missing() {
  local tool
  for tool in "$@"; do has "${tool%%:*}" || echo "${tool##*:}"; done
}

if ! command -v cargo >/dev/null; then
  echo "install: cargo is missing: see https://rustup.rs" >&2
  exit 1
fi

mapfile -t packages < <(missing "${to_build[@]}" "${to_test[@]}")
[ ${#packages[@]} -gt 0 ] || exit 0

as_root=no
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=(sudo)
fi
if [ "${as_root-}" != no ] && command -v apt-get >/dev/null; then
  echo "install: ${packages[*]} (apt)"
  apt() {
    local log
    log=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq "$@" 2>&1) || echo "$log" >&2
  }
  apt update
  # One by one: a package that this Debian does not have must not cost the others.
  for package in "${packages[@]}"; do apt install --no-install-recommends "$package"; done
fi

mapfile -t unbuildable < <(missing "${to_build[@]}")
mapfile -t untestable < <(missing "${to_test[@]}")
if [ ${#unbuildable[@]} -gt 0 ]; then
  echo "install: cannot build without: ${unbuildable[*]} (names of the Debian packages)" >&2
  exit 1
fi
if [ ${#untestable[@]} -gt 0 ]; then
  echo "install: some tests need: ${untestable[*]} (names of the Debian packages)" >&2
  [ -z "${CI:-}" ] || exit 1
fi
