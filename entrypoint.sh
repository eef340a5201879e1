#!/usr/bin/env bash
# Starts the tracker; with WITH_CLICKHOUSE=1 a ClickHouse server beside it, and ends when either of them does.
#
#   entrypoint.sh [CONFIG] [OPTION…]     as `python -m tracker`; default: config.json, or the server beside it
#
# SHARD, REPLICA, SERVER_ID, NUM_NODES, CONTAINER_NAME_PATTERN, CLUSTER_NAME, CLICKHOUSE_DATA_DIR, CLICKHOUSE_LOG_DIR
# and the like are read by `python -m cluster node`. CLICKHOUSE_PASSWORD and, for several nodes, CLICKHOUSE_CLUSTER_SECRET
# come from the environment or from the files that ..._FILE name; a single node makes its own and keeps it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ "${WITH_CLICKHOUSE:-0}" != 1 ]; then
    exec nice -n "${TRACKER_NICE:-0}" python -m tracker "$@"
fi

data=${CLICKHOUSE_DATA_DIR:-/var/lib/clickhouse}
logs=${CLICKHOUSE_LOG_DIR:-/var/log/clickhouse-server}
configs=${CLICKHOUSE_CONFIG_DIR:-/etc/clickhouse-tracker}
tracker_data=${TRACKER_DATA_DIR:-$PWD/data}
ready_seconds=${CLICKHOUSE_START_SECONDS:-120}
http_port=${CLICKHOUSE_HTTP_PORT:-8123}

say() { echo "entrypoint: $*" >&2; }

fail() { # exit code, what is wrong
    say "$2"
    exit "$1"
}

# A secret: the variable, the file that VARIABLE_FILE names, or, on a single node, one that is made once and kept.
secret() { # variable
    local file="$1_FILE"
    if [ -n "${!1:-}" ]; then
        echo "${!1}"
    elif [ -n "${!file:-}" ]; then
        cat "${!file}"
    elif [ "${NUM_NODES:-1}" = 1 ]; then
        local kept="$data/.${1,,}"
        [ -s "$kept" ] || (umask 077 && python -c 'import secrets; print(secrets.token_urlsafe(24))' >"$kept")
        cat "$kept"
    else
        fail 78 "$1 must be set, the same on all $NUM_NODES nodes"
    fi
}

is_up() { python -c "
import http.client
connection = http.client.HTTPConnection('127.0.0.1', $http_port, timeout=2)
connection.request('GET', '/ping')
raise SystemExit(connection.getresponse().status != 200)" 2>/dev/null; }

wait_until_up() {
    local deadline=$((SECONDS + ready_seconds))
    until is_up; do
        kill -0 "$clickhouse" 2>/dev/null || fail 1 "ClickHouse ended while it started; see $logs"
        [ $SECONDS -lt $deadline ] || fail 1 "ClickHouse does not answer after $ready_seconds s; see $logs"
        sleep 0.3
    done
}

# The tracker first: what it can still deliver needs a server.
stop_both() {
    trap - EXIT
    for process in "${tracker:-}" "${clickhouse:-}"; do
        [ -z "$process" ] && continue
        kill -TERM "$process" 2>/dev/null || true
        while kill -0 "$process" 2>/dev/null; do wait "$process" || true; done
    done
}

mkdir -p "$data" "$logs" "$configs" "$tracker_data"
CLICKHOUSE_PASSWORD=$(secret CLICKHOUSE_PASSWORD)
CLICKHOUSE_PASSWORD_SHA256=$(printf %s "$CLICKHOUSE_PASSWORD" | sha256sum | cut -c 1-64)
export CLICKHOUSE_PASSWORD CLICKHOUSE_PASSWORD_SHA256 CLICKHOUSE_WATCHDOG_ENABLE=0
if [ "${NUM_NODES:-1}" != 1 ]; then
    CLICKHOUSE_CLUSTER_SECRET=$(secret CLICKHOUSE_CLUSTER_SECRET)
    export CLICKHOUSE_CLUSTER_SECRET
fi
python -m cluster node --to "$configs" --data "$tracker_data"

trap 'asked=1' TERM INT
trap stop_both EXIT
clickhouse server --config-file="$configs/config.xml" &
clickhouse=$!
wait_until_up
if [ $# = 0 ]; then
    set -- "$configs/config.json"
    export TRACKER_NOTIFY__0__PASSWORD=$CLICKHOUSE_PASSWORD
fi
nice -n "${TRACKER_NICE:-5}" python -m tracker "$@" &
tracker=$!

code=0
wait -n "$clickhouse" "$tracker" || code=$?
if [ -n "${asked:-}" ]; then
    stop_both
    exit 0
fi
kill -0 "$tracker" 2>/dev/null && say "ClickHouse ended with $code" || say "the tracker ended with $code"
stop_both
exit $((code == 0 ? 1 : code))
