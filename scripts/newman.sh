#!/usr/bin/env bash
# Runs the Postman collection against a server of its own, twice: the second time the server is not empty. Needs node, npm and
# the built binary. Arguments go to `newman run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "newman: LEFT OUT, node with npm is missing" >&2
    [ -z "${CI:-}" ] && exit 0 || exit 1
fi

VERSION=6.2.2
BINARY=$(realpath "${PARLANCE_BIN:-target/debug/parlance}")

HOME_OF=$PWD/target/newman-$VERSION
NEWMAN=$HOME_OF/node_modules/.bin/newman
if [ ! -x "$NEWMAN" ]; then
    echo "newman: installing $VERSION from npm into ${HOME_OF#"$PWD/"}"
    npm install --prefix "$HOME_OF" --silent --no-audit --no-fund --ignore-scripts "newman@$VERSION"
fi

DIR=$(mktemp -d)
trap 'kill "$SERVER" 2>/dev/null || true; wait "$SERVER" 2>/dev/null || true; rm -rf "$DIR"' EXIT
# From its own directory: no parlance.toml of the operator's is read. With the limits that users meet.
(cd "$DIR" && exec env -i PATH="$PATH" PARLANCE_DATA_DIR="$DIR/data" PARLANCE_LISTEN=127.0.0.1:0 PARLANCE_BCRYPT_COST=4 \
    PARLANCE_ADMINS=captain "$BINARY" >"$DIR/out" 2>"$DIR/log") &
SERVER=$!
for _ in $(seq 100); do
    grep -q '^listening on ' "$DIR/out" && break
    kill -0 "$SERVER" 2>/dev/null || { cat "$DIR/log"; exit 1; }
    sleep 0.1
done
URL=$(sed -n 's/^listening on //p' "$DIR/out")

STATUS=0
NO_PROXY='*' no_proxy='*' "$NEWMAN" run docs/postman_collection.json --iteration-count 2 --color off --disable-unicode \
    --timeout-request 20000 --env-var "baseUrl=$URL" --env-var adminUsername=captain "$@" \
    >"$DIR/report" 2>&1 || STATUS=$?
if [ "$STATUS" -ne 0 ]; then
    cat "$DIR/report"
    exit "$STATUS"
fi
grep -E '^\| +(requests|assertions) ' "$DIR/report" | tr -s ' |' ' ' | sed 's/^ \([a-z]*\) \([0-9]*\) \([0-9]*\).*/newman: \2 \1, \3 failed/'
