#!/usr/bin/env bash
# Succeeds where the system's own Python starts QGIS with what the tests load layers through.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d)  # QGIS writes a profile wherever it starts
trap 'rm -rf "$home"' EXIT
echo null | env HOME="$home" XDG_RUNTIME_DIR="$home" QT_QPA_PLATFORM=offscreen \
    /usr/bin/python3 -E -s -B tests/qgis/scripts/providers.py >/dev/null 2>&1
