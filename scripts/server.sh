# Sourced by the scripts that ask a server of their own, from the repository's root.

# Starts the built binary with an empty data directory on a free port; arguments are more of its environment (NAME=VALUE).
# Sets URL, and DIR, a directory for whatever there is to keep; both are gone at the script's end.
start_server() {
    local name binary
    name=$(basename "$0" .sh)
    binary=$(realpath -m "${PARLANCE_BIN:-${CARGO_TARGET_DIR:-target}/debug/parlance}")
    if [ ! -x "$binary" ]; then
        echo "$name: $binary is missing: cargo build -p parlance" >&2
        exit 1
    fi
    DIR=$(mktemp -d)
    : >"$DIR/out"
    # From its own directory: no parlance.toml of the operator's is read.
    (cd "$DIR" && exec env -i PATH="$PATH" PARLANCE_DATA_DIR="$DIR/data" PARLANCE_LISTEN=127.0.0.1:0 PARLANCE_BCRYPT_COST=4 \
        "$@" "$binary" >"$DIR/out" 2>"$DIR/log") &
    SERVER=$!
    trap 'kill "$SERVER" 2>/dev/null || true; wait "$SERVER" 2>/dev/null || true; rm -rf "$DIR"' EXIT
    # Up to a minute: the machine may be busy.
    for _ in $(seq 600); do
        URL=$(sed -n 's/^listening on //p' "$DIR/out")
        [ -z "$URL" ] || return 0
        kill -0 "$SERVER" 2>/dev/null || break
        sleep 0.1
    done
    echo "$name: the server ended, or did not listen within a minute; its log:" >&2
    cat "$DIR/log" >&2
    exit 1
}

# Does something, and once more where it fails: networks do.
twice() {
    "$@" || { sleep 5; "$@"; }
}
