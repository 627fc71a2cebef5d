#!/usr/bin/env bash
# The directions between crates, and which files may name a wire library (ARCHITECTURE.md, "Directions").
set -u
cd "$(dirname "$0")/../.."
failed=0

outside() { # library, extended regex of the paths that may name it
  local hits
  hits=$(git ls-files '*.rs' | grep -vE '(^|/)tests/|/build\.rs$' | grep -vE "$2" |
    xargs grep -lE "(^|[^a-z_])$1::" 2>/dev/null)
  if [ -n "$hits" ]; then
    printf 'names %s and may not:\n%s\n' "$1" "$hits"
    failed=1
  fi
}

service_edge='^services/[a-z]+/src/(.*/)?(app|error)\.rs$'
outside tonic "$service_edge|/(api|peers|upstream|internal)/|^crates/(rpc|contracts|control-api|process|load|sandbox|testkit|ficus)/"
outside sqlx "$service_edge|/store(/|\.rs$)|^crates/(pg|owners|events|mover|testkit|lab)/"
outside rdkafka '^crates/(events|sandbox|testkit)/|^crates/lab/src/bench/raw\.rs$'

for package in ficus-gateway ficus-controller ficus-cli ficus-control-api ficus-owners ficus-mover \
  ficus-routing ficus-events ficus-pg ficus-process ficus-rpc ficus-load; do
  if cargo tree --offline -q -p "$package" -e normal --prefix none 2>/dev/null | grep -q '^trellis-'; then
    echo "$package is of the engine and depends on the subject"
    failed=1
  fi
done
services=$(awk '/^name = /{gsub("\"", "", $3); print $3; nextfile}' services/*/Cargo.toml | paste -sd '|')
for package in $(awk '/^name = /{gsub("\"", "", $3); print $3; nextfile}' {crates,services}/*/Cargo.toml); do
  if cargo tree --offline -q -p "$package" -e normal --prefix none | tail -n +2 | grep -qE "^($services) "; then
    echo "$package depends on a service"
    failed=1
  fi
done
[ "$failed" = 0 ] && echo "the directions between crates hold"
exit "$failed"
