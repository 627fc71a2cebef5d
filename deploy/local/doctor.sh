#!/usr/bin/env bash
# What tour and test need on this machine. `--install` installs what is missing as root on Debian or Ubuntu;
# elsewhere both print the one command that does. Exit status 1 when something is missing.
set -u

missing=()
packages=()

need() { # what, package, brew formula, how it was found (empty: missing)
  if [ -n "$4" ]; then
    printf '  %-22s %s\n' "$1" "$4"
  else
    printf '  %-22s missing\n' "$1"
    missing+=("$1")
    packages+=("$2")
    formulas+=("$3")
  fi
}

rust() { # 1.95 or later
  local version
  version=$(cargo --version 2>/dev/null)
  [ "$(grep -oE '[0-9]+' <<<"$version" | sed -n 2p)" -ge 95 ] 2>/dev/null && echo "$version"
}

postgres() { # the server's programs, version 15 or later
  local folder version
  for folder in "$(dirname "$(command -v initdb 2>/dev/null || echo /none/x)")" \
    /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/pgsql/bin; do
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] || continue
    version=$("$folder/postgres" --version | grep -oE '[0-9]+' | head -1)
    [ "$version" -ge 15 ] && echo "PostgreSQL $version in $folder" && return
  done
}

java17() {
  local version
  version=$(java -version 2>&1 | grep -oE '"[0-9]+' | head -1 | tr -d '"')
  [ -n "$version" ] && [ "$version" -ge 17 ] && echo "Java $version"
}

formulas=()
check() {
  missing=() packages=() formulas=()
  need "Rust 1.95+ (cargo)" "" "rustup" "$(rust)"
  need "C compiler" "build-essential" "gcc" "$(command -v cc)"
  need "make" "make" "make" "$(command -v make)"
  need "PostgreSQL 15+ server" "postgresql" "postgresql@17" "$(postgres)"
  need "psql" "postgresql-client" "libpq" "$(command -v psql)"
  need "curl" "curl" "curl" "$(command -v curl)"
  need "Java 17+" "default-jre-headless" "openjdk" "$(java17)"
  need "Maven" "maven" "maven" "$(command -v mvn)"
}

echo "What Ficus needs here:"
check
[ ${#missing[@]} -eq 0 ] && exit 0

case " ${missing[*]} " in
  *"Rust"*) echo "install Rust first (rustup update, or https://rustup.rs)"; exit 1 ;;
esac
if command -v apt-get >/dev/null; then
  command="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
  if [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ]; then
    echo "installing: ${packages[*]}"
    # A server of the distribution's own is not wanted, only its programs.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
      echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    export DEBIAN_FRONTEND=noninteractive
    eval "$command" >/tmp/ficus-install.log 2>&1 || { tail -5 /tmp/ficus-install.log; exit 1; }
    check
    [ ${#missing[@]} -eq 0 ] && exit 0
    echo "still missing: ${missing[*]}"
    exit 1
  fi
  echo "run: sudo sh -c '$command'"
elif command -v brew >/dev/null; then
  echo "run: brew install ${formulas[*]}"
else
  echo "install with this system's package manager: ${missing[*]}"
fi
exit 1
