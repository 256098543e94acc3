#!/usr/bin/env bash
# Loads the demo city once, answers a few points, and serves until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
PORT=${PORT:-8000}
SCHEME=${SCHEME:-demo}
url="http://127.0.0.1:$PORT"
# One city, one database: each made-up way to run a city has an embedded one of its own.
cli=".venv/bin/gridsvc --help"
down=".venv/bin/gridsvc down"
if [ "$SCHEME" != demo ]; then
    export GRIDSVC_HOME=${GRIDSVC_HOME:-.gridsvc-$SCHEME}
    cli="GRIDSVC_HOME=$GRIDSVC_HOME $cli"
    down="GRIDSVC_HOME=$GRIDSVC_HOME $down"
fi
case $SCHEME in
demo | chaoyang | qingdao | nanan | xuzhou | cangzhou) ;;
*)
    echo "demo: no made-up city is called $SCHEME. Choose demo, chaoyang, qingdao, nanan, xuzhou or cangzhou" >&2
    exit 2
    ;;
esac
gridsvc=.venv/bin/gridsvc

# On loopback, and with made-up people only, the demo asks for no keys.
export GRIDSVC_API_KEYS_REQUIRED=false

if .venv/bin/python -c 'import socket, sys; sys.exit(socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))))' "$PORT"; then
    echo "demo: port $PORT is taken. Choose another: make demo PORT=8001" >&2
    exit 1
fi

"$gridsvc" up

# The mark says that a load came to its end; the answer, that the database still has it.
answers() { "$gridsvc" locate 116.4612 39.9219 --crs EPSG:4326; }
loaded=${GRIDSVC_HOME:-.gridsvc}/demo-$SCHEME.loaded
mark=$(printf '%s\n' "${GRIDSVC_DATABASE_URL:-embedded}" | cat - "data/schemes/$SCHEME.toml" "data/people/$SCHEME.csv" data/boundaries/demo.toml \
    $(ls "data/components/$SCHEME.csv" 2>/dev/null) | sha256sum)
if [ "$(cat "$loaded" 2>/dev/null)" != "$mark" ] || ! answers >/dev/null 2>&1; then
    "$gridsvc" scheme load "data/schemes/$SCHEME.toml"
    # One table per layer, outermost first, as the scheme lists them; with the people they make
    # one change set and so one revision, which holds from the first of the demo's reports on.
    # Street segments are drawn as lines, whose widths have a column.
    layers=$(.venv/bin/python -c '
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    for layer in tomllib.load(file)["layer"]:
        print(layer["code"], "--width width_m" if layer.get("drawn_as") == "line" else "")' \
        "data/schemes/$SCHEME.toml")
    while read -r layer width; do
        # shellcheck disable=SC2086 -- two words or none
        "$gridsvc" areas import data/boundaries/demo.gpkg --table "$layer" --layer "$layer" \
            --code code --name name $width --valid-from 2024-11-01 --change-set demo </dev/null
    done <<<"$layers"
    "$gridsvc" people import "data/people/$SCHEME.csv" --change-set demo
    if [ -f "data/components/$SCHEME.csv" ]; then
        "$gridsvc" components import "data/components/$SCHEME.csv" --code code --category category \
            --owner owner --crs EPSG:4326 --valid-from 2024-11-01 --change-set demo
    fi
    # Nothing was saved where the city is there already: a load that stopped at the very end.
    if "$gridsvc" status --json | .venv/bin/python -c '
import json, sys
sys.exit("demo" not in json.load(sys.stdin)["open_change_sets"])'; then
        "$gridsvc" publish demo
    fi
    mkdir -p "$(dirname "$loaded")"
    echo "$mark" >"$loaded"
fi

echo
answers
case $SCHEME in  # what this way to run the city is about
chaoyang) "$gridsvc" locate 116.45411 39.94400 --at 2026-10-12T09:00 ;;  # after a hand-over
qingdao) "$gridsvc" locate 116.4612 39.9219 --category 0402 ;;           # a burst pipe
nanan) "$gridsvc" locate 116.47896332 39.90486274 --category C0107 ;;    # a cover, whose?
xuzhou) "$gridsvc" locate 116.4612 39.9219 --category 0101 ;;            # litter near a kiosk
cangzhou) "$gridsvc" locate 116.46584 39.94720 --crs EPSG:4326 ;;       # in front of a shop
*) "$gridsvc" locate 116.4674 39.9233 --crs gcj02 --accuracy 15 ;;       # a phone's position
esac

# Two years of past reports become cases, once for a city. What came before stays one report.
imported=${GRIDSVC_HOME:-.gridsvc}/demo-$SCHEME.imported
if [ "$(cat "$imported" 2>/dev/null)" != "$mark" ]; then
    "$gridsvc" reports import data/reports/demo.parquet --id id --lon lon --lat lat --crs crs \
        --opened opened_at --closed closed_at --category category --channel channel --status status
    echo "$mark" >"$imported"
fi
map=out/hotspots-$SCHEME.html
if [ ! -f "$map" ] || [ "$imported" -nt "$map" ]; then
    "$gridsvc" hotspots map "$map"
fi

"$gridsvc" serve --host 127.0.0.1 --port "$PORT" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; exit 0' INT TERM
trap 'kill "$server" 2>/dev/null || true' EXIT
until .venv/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
    "$url/readyz" 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit 1; }
    sleep 0.2
done
cat <<END

  who answers here    $url/maps/responsible
  hotspots            $url/maps/hotspots (made at the first call, which takes some 20 s)
  the same, one file  file://$PWD/$map
  this month          $url/indicators?month=$(date +%Y-%m)
  the API             $url/docs
  one answer          $url/v1/responsible?lon=116.4612&lat=39.9219&crs=EPSG:4326
  the command line    $cli
  stop                Ctrl-C; the database stays up until: $down

ready: $url
END
wait "$server"
