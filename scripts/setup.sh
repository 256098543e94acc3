#!/usr/bin/env bash
# Installs what is missing and nothing else; a second run looks, finds all, and is done.
#   scripts/setup.sh          PostgreSQL with PostGIS, a Python environment
#   scripts/setup.sh --dev    also the packages that checks and tests use
#   scripts/setup.sh --test   also Chromium, a Chinese font and QGIS
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {  # what, Debian's name for it
    cat >&2 <<END
setup: $1 is missing and could not be installed.
  Debian, Ubuntu:      sudo apt-get install $2
  another PostGIS:     GRIDSVC_DATABASE_URL=postgresql://… make demo   (PostGIS 3.3 or newer)
  with Docker:         docker compose up
END
    exit 1
}

find_python() {
    local python
    for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    return 1
}
can_make_venv() { find_python >/dev/null && "$(find_python)" -c 'import ensurepip, venv' 2>/dev/null; }
has_postgis() {
    [ -n "${GRIDSVC_DATABASE_URL:-}" ] && return
    local bin share
    for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(pg_config --bindir 2>/dev/null)"; do
        [ -x "$bin/initdb" ] && [ -x "$bin/pg_config" ] || continue
        share=$("$bin/pg_config" --sharedir)
        [ -f "$share/extension/postgis.control" ] && return
    done
    return 1
}
has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
has_chinese_font() { [ -n "$(fc-list :lang=zh 2>/dev/null)" ]; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
apt_updated=
apt_install() {
    command -v apt-get >/dev/null || return
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || return
    if [ -z "$apt_updated" ]; then as_root apt-get update -qq && apt_updated=1 || return; fi
    echo "setup: installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}
need() {  # check, what, packages…
    local check=$1 what=$2
    shift 2
    "$check" >/dev/null && return
    apt_install "$@" || true
    "$check" >/dev/null || missing "$what" "$*"
}

keep_system_cluster_away() {
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
        as_root tee /etc/postgresql-common/createcluster.d/gridsvc.conf >/dev/null
}

# Debian makes and starts a server of the system's own with the packages; ours is private. Where
# PostgreSQL already is, its set-up is left alone.
if ! has_postgis && command -v apt-get >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    keep_system_cluster_away 2>/dev/null || true
fi
need can_make_venv "Python 3.11 or newer with venv" python3 python3-venv
need has_postgis "PostgreSQL 15 or newer with PostGIS" postgresql-postgis
if [ "${1:-}" = --test ]; then
    need has_chromium "Chromium, for the browser tests," chromium
    need has_chinese_font "A Chinese font, for the browser tests," fontconfig fonts-wqy-zenhei
    # Not every system has QGIS for its Python, and the service runs without: tests of it skip.
    if ! scripts/has_qgis.sh; then
        apt_install python3-qgis qgis-providers || true
        scripts/has_qgis.sh || cat >&2 <<'END'
setup: QGIS is missing and could not be installed; the tests in tests/qgis are skipped.
  Debian, Ubuntu:      sudo apt-get install python3-qgis qgis-providers
END
    fi
fi

# The packages for development hold those that run the service, so they serve for both.
stamp=.venv/.installed
everything=$(cat requirements-dev.lock pyproject.toml | sha256sum)
if [ -z "${1:-}" ]; then lock=requirements.lock; else lock=requirements-dev.lock; fi
wanted=$(cat "$lock" pyproject.toml | sha256sum)
installed=$(cat "$stamp" 2>/dev/null || true)
if [ "$installed" != "$wanted" ] && [ "$installed" != "$everything" ]; then
    echo "setup: installing Python packages into .venv"
    [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv
    # shellcheck disable=SC2015
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes \
        -r "$lock" &&
        .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e . ||
        missing "A Python package (see above)" python3-venv
    echo "$wanted" >"$stamp"
fi
