#!/usr/bin/env bash
# Builds the TypeScript client into dist, after it compared its types with docs/openapi.json. Installs what is pinned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Named for what is pinned, so that whatever changes there is installed anew.
installed=node_modules/.of-$(sha256sum package-lock.json | cut -c 1-12)
if [ ! -e "$installed" ]; then
    npm ci --loglevel error --no-audit --no-fund --ignore-scripts >/dev/null ||
        { sleep 5; npm ci --loglevel error --no-audit --no-fund --ignore-scripts >/dev/null; }
    touch "$installed"
fi
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
node_modules/.bin/openapi-typescript ../../docs/openapi.json --output "$fresh" >/dev/null
if ! diff -q src/schema.ts "$fresh" >/dev/null; then
    echo "clients/typescript: src/schema.ts is not what docs/openapi.json says: npm run types" >&2
    exit 1
fi
node_modules/.bin/tsc
