#!/usr/bin/env bash
# Makes .venv with what the Python client needs, pinned, and the client itself as it stands in src.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Named for what is pinned, so that whatever changes there is installed anew.
installed=.venv/.of-$(sha256sum requirements.txt | cut -c 1-12)
if [ ! -e "$installed" ]; then
    python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt ||
        { sleep 5; .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt; }
    .venv/bin/python -c 'import site; open(site.getsitepackages()[0] + "/parlance_client.pth", "w").write("'"$PWD"'/src\n")'
    touch "$installed"
fi
