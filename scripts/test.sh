#!/usr/bin/env bash
# The one test command: installs what is missing, then runs every test. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/install.sh
echo "test: cargo test --workspace $*"
cargo test --workspace "$@"

# Tests of a server on SQLite, once more on Postgres; not those that name their database themselves, or have none.
if [ -n "${TEST_POSTGRES_URL:-}" ] || command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  echo "test: the server's tests over Postgres"
  rest=(--)
  for argument in "$@"; do [ "$argument" != -- ] || rest=(); done
  elsewhere=(backup bench browser buckets canary cluster command_line crash demo doctor documents healthcheck openapi postgres postman web)
  for module in "${elsewhere[@]}"; do rest+=(--skip "$module::"); done
  PARLANCE_TEST_BACKEND=postgres cargo test --package parlance --test it "$@" "${rest[@]}"
fi

echo "test: the server against its OpenAPI document"
cargo build --quiet --package parlance
export PARLANCE_BIN=${CARGO_TARGET_DIR:-target}/debug/parlance
bash scripts/schemathesis.sh

echo "test: the Postman collection against the server"
bash scripts/newman.sh

echo "test: the client libraries against the server"
bash clients/checks/run
