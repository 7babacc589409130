#!/bin/sh
# serve.sh PYTHON: a server, two tenants, a statement of each, its events, rows, log, a batch, usage, and a refusal with its reason.
set -eu
python=$1
folder=$(mktemp -d)
"$python" -m wasmexec serve --listen 127.0.0.1:0 --store "$folder/server.sqlite3" 2>"$folder/said" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
waited=0
until grep -q "admin key" "$folder/said"; do
    kill -0 $server 2>/dev/null && [ $waited -lt 600 ] || { cat "$folder/said" >&2; exit 1; }
    sleep 0.1
    waited=$((waited + 1))
done
url=$(sed -n 's/listening at //p' "$folder/said")
admin=$(sed -n 's/admin key, shown this once: //p' "$folder/said")

ask() { # ask KEY PATH [CURL OPTIONS]: shows the request and its answer, which it leaves in $answer
    key=$1 path=$2
    shift 2
    printf '\n$ curl %s%s' "$url" "$path"
    [ $# -eq 0 ] || printf " '%s'" "$@"
    printf '\n'
    answer=$(curl --silent --show-error --max-time 60 -H "Authorization: Bearer $key" "$url$path" "$@")
    printf '%s\n' "$answer" | cut -c 1-600 | sed -E 's/(wx_[A-Za-z0-9]+_)[A-Za-z0-9]+/\1.../'
}
member() { # member NAME: of the last answer
    printf '%s' "$answer" | "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

sed -E 's/(wx_[A-Za-z0-9]+_)[A-Za-z0-9]+/\1.../' "$folder/said"
ask "$admin" /v1/admin/tenants -d '{"name": "acme", "weight": 2}'
ask "$admin" /v1/admin/tenants/acme/keys -d '{}'
acme=$(member key)
ask "$admin" /v1/admin/tenants -d '{"name": "globex", "limits": {"wall_seconds": 5}}'
ask "$admin" /v1/admin/tenants/globex/keys -d '{}'
globex=$(member key)
ask "$acme" /v1/runs -d '{"statement": "log.info(\"hello\")\nreturn [{\"sum\": sum(INPUT_DATA[0][\"numbers\"])}]", "input_data": [{"numbers": [1, 2, 3]}]}'
ask "$globex" /v1/runs -H 'Prefer: respond-async' -d '{"statement": "await sleep(0.2)\nlog.info(\"later\")\nreturn [{\"a\": 1}]"}'
run=$(member id)
ask "$globex" "/v1/runs/$run/events"
ask "$globex" "/v1/runs/$run"
ask "$globex" "/v1/runs/$run/rows"
ask "$globex" "/v1/runs/$run/logs"
ask "$acme" /v1/runs:batch --data-binary '{"id": "one", "statement": "return [{\"a\": 1}]"}
{"id": "two", "statement": "return ["}'
ask "$globex" /v1/usage
ask "$globex" /v1/runs -d '{"statement": "return []", "limits": {"wall_seconds": 6}}'
ask "$acme" "/v1/runs/$run"
