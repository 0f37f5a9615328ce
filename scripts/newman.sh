#!/usr/bin/env bash
# Runs the Postman collection against a server of its own, twice: the second time the server is not empty. Needs node, npm and
# the built binary. Arguments go to `newman run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/server.sh

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "newman: LEFT OUT, node with npm is missing" >&2
    [ -z "${CI:-}" ] && exit 0 || exit 1
fi

# Named for what is pinned, so that whatever changes there is installed anew.
PINNED=$PWD/scripts/newman
HOME_OF=$PWD/target/newman-$(sha256sum "$PINNED/package-lock.json" | cut -c 1-12)
NEWMAN=$HOME_OF/node_modules/.bin/newman
if [ ! -x "$NEWMAN" ]; then
    echo "newman: installing it from npm into ${HOME_OF#"$PWD/"}"
    mkdir -p "$HOME_OF"
    cp "$PINNED/package.json" "$PINNED/package-lock.json" "$HOME_OF/"
    # npm takes no way to it that leads over a link.
    twice npm ci --prefix "$(cd "$HOME_OF" && pwd -P)" --loglevel error --no-audit --no-fund --ignore-scripts >/dev/null
fi

# With the limits that users meet.
start_server PARLANCE_ADMINS=captain

STATUS=0
NO_PROXY='*' no_proxy='*' "$NEWMAN" run docs/postman_collection.json --iteration-count 2 --color off --disable-unicode \
    --timeout-request 20000 --env-var "baseUrl=$URL" --env-var adminUsername=captain "$@" \
    >"$DIR/report" 2>&1 || STATUS=$?
if [ "$STATUS" -ne 0 ]; then
    cat "$DIR/report"
    exit "$STATUS"
fi
grep -E '^\| +(requests|assertions) ' "$DIR/report" | tr -s ' |' ' ' | sed 's/^ \([a-z]*\) \([0-9]*\) \([0-9]*\).*/newman: \2 \1, \3 failed/'
