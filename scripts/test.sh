#!/usr/bin/env bash
# The one test command: installs what is missing, then runs every test. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/install.sh
echo "test: cargo test --workspace $*"
cargo test --workspace "$@"

echo "test: the server against its OpenAPI document"
cargo build --quiet --package api-actix
bash scripts/schemathesis.sh
