#!/usr/bin/env bash
# Holds a running server against its own OpenAPI document: no server error, and no answer that is not in the document.
# The same cases each time (SEED), a bounded number of them (CASES an operation). Needs python3 and the built binary.
# Arguments go to `schemathesis run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SCRIPTS=$PWD/scripts
source scripts/server.sh

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "schemathesis: LEFT OUT, python3 with venv is missing" >&2
    [ -z "${CI:-}" ] && exit 0 || exit 1
fi

SEED=${SEED:-1}
CASES=${CASES:-12}

# Named for what is pinned, so that whatever changes there is installed anew.
PINNED=$SCRIPTS/schemathesis.txt
VENV=$PWD/target/schemathesis-$(sha256sum "$PINNED" | cut -c 1-12)
# By its interpreter: the programs in it know the place where they were made, and the tree may have been moved since.
if ! "$VENV/bin/python" -m schemathesis.cli --version >/dev/null 2>&1; then
    echo "schemathesis: installing it from PyPI into ${VENV#"$PWD/"}"
    python3 -m venv "$VENV"
    twice "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$PINNED" schemathesis
fi

start_server PARLANCE_RATE_LIMITS=off

# What the cases speak of, so that they get somewhere: see the hooks.
python3 scripts/schemathesis_data.py "$URL" >"$DIR/known.json"
TOKEN=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"])' "$DIR/known.json")

# Left out: /ws and /events, whose answers do not end, and what ends the session that the token is of.
echo "schemathesis: $CASES cases an operation, seed $SEED"
STATUS=0
# It keeps notes in the directory that it runs in.
# One worker: Python 3.11 mixes up the syntax trees that several threads build at once (CPython issue 106905), and the run
# ends in an error of its own.
cd "$DIR"
SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH="$SCRIPTS" PYTHONDONTWRITEBYTECODE=1 PARLANCE_KNOWN="$DIR/known.json" NO_COLOR=1 \
    "$VENV/bin/python" -m schemathesis.cli --config-file "$SCRIPTS/schemathesis.toml" run "$URL/openapi.json" \
    --header "Authorization: Bearer $TOKEN" --phases examples,coverage,fuzzing --seed "$SEED" --max-examples "$CASES" \
    --no-shrink --workers 1 --exclude-path /ws --exclude-path /events --exclude-path /logout \
    --exclude-operation-id sessions_end --exclude-operation-id accounts_delete_own "$@" \
    >"$DIR/report" 2>&1 || STATUS=$?
if [ "$STATUS" -ne 0 ]; then
    cat "$DIR/report"
    exit "$STATUS"
fi
grep -E "^ *[0-9]+ generated" "$DIR/report"
