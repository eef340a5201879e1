#!/usr/bin/env bash
# What the Makefile's `docker-` targets do, with the image `tracker:latest` in a container `v4-tracker-1`.
#
# WITH_CLICKHOUSE=1    the image that has a ClickHouse server beside the tracker
# TRACKER_PORT         where it listens on loopback, 8880; CLICKHOUSE_HTTP_PORT of the server beside it, 8123
# DOCKER_NETWORK=host  of builds and containers, for machines whose Docker has no bridge
# SURE=yes             for what removes data
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=tracker
[ "${WITH_CLICKHOUSE:-0}" = 1 ] && target=tracker-clickhouse
image=$target:latest
container=${CONTAINER:-v4-tracker-1}
port=${TRACKER_PORT:-8880}
url=http://127.0.0.1:$port
clickhouse_port=${CLICKHOUSE_HTTP_PORT:-8123}
network=${DOCKER_NETWORK:+--network=$DOCKER_NETWORK}
wait_seconds=${WAIT_SECONDS:-60}

stop_here() { # exit code, lines
    local code=$1
    shift
    printf '%s\n' "$@" >&2
    exit "$code"
}

need_docker() {
    docker info >/dev/null 2>&1 || stop_here 2 \
        "No Docker answers here (\`docker info\` fails): install it or start its daemon." \
        "Without it \`make run\` needs nothing else, and \`make cluster-start\` takes a \`clickhouse\` binary."
}

need_container() {
    [ "$(docker container inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ] ||
        stop_here 1 "container $container does not run: make docker-run"
}

need_clickhouse() {
    docker exec "$container" test -x /usr/bin/clickhouse ||
        stop_here 2 "$container has no ClickHouse beside the tracker: make docker-run WITH_CLICKHOUSE=1" \
            "Its DuckDB is asked by: docker exec $container python -m tracker sql \"SELECT …\""
}

health() { docker container inspect --format '{{.State.Health.Status}}' "$container"; }

ask() { docker exec "$container" python -m tracker sql --csv "$1" | tail -n +2; }

post() { # route, body
    curl --silent --show-error --fail --output /dev/null --data "$2" "$url$1"
}

# The question answers that number within $wait_seconds.
expect() { # what, question, number
    local found deadline=$((SECONDS + wait_seconds))
    until found=$(ask "$2") && [ "$found" = "$3" ]; do
        [ $SECONDS -lt $deadline ] || stop_here 1 "FAILED: $1: $found instead of $3"
        sleep 0.5
    done
    echo "ok: $1: $found"
}

build() {
    # pip's own settings go into the build and nowhere else.
    local arguments=()
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT; do
        [ -z "${!name:-}" ] || arguments+=(--build-arg "$name")
    done
    docker build $network "${arguments[@]}" --target "$target" --tag "$image" .
}

run() {
    ! docker container inspect "$container" >/dev/null 2>&1 || stop_here 1 "container $container is there already: make docker-stop"
    docker image inspect "$image" >/dev/null 2>&1 || build
    local own=() ports=("$port:$port")
    [ "$target" = tracker ] || {
        own=(--volume "$container-clickhouse:/var/lib/clickhouse" --env CLICKHOUSE_PASSWORD
            --env "CLICKHOUSE_HTTP_PORT=$clickhouse_port")
        ports+=("$clickhouse_port:$clickhouse_port" 9000:9000)
    }
    [ "${DOCKER_NETWORK:-}" = host ] || own+=("${ports[@]/#/--publish=127.0.0.1:}")
    docker run --detach --name "$container" $network \
        --env "TRACKER_PROXYEXCEPTHTTP=0.0.0.0:$port" --volume "$container-data:/app/data" \
        --cap-drop ALL --security-opt no-new-privileges --stop-timeout 90 --restart unless-stopped \
        "${own[@]}" "$image" >/dev/null
    local deadline=$((SECONDS + wait_seconds))
    until [ "$(health)" = healthy ]; do
        [ $SECONDS -lt $deadline ] || stop_here 1 "$container is $(health) after $wait_seconds s: make docker-logs"
        sleep 0.5
    done
    echo "$container is healthy: $url"
}

verify_tables() {
    need_container
    local missing
    missing=$(comm -23 \
        <(docker exec "$container" python -c 'from tracker.tables import CATALOGUE; print("\n".join(sorted(CATALOGUE)))') \
        <(ask "SELECT DISTINCT table_name FROM information_schema.tables WHERE table_catalog = 'sfpla' ORDER BY 1" | sort))
    [ -z "$missing" ] || stop_here 1 "FAILED: missing tables:" $missing
    echo "ok: every table is there"
}

test_events() {
    need_container
    local name
    name=docker_test_$(date +%s)_$$
    for number in 1 2 3 4 5; do
        post /tr/v1/tr/ "{\"vid\": \"docker-$number\", \"ename\": \"$name\", \"etyp\": \"view\"}"
    done
    expect "5 events" "SELECT count(*) AS n FROM events WHERE ename = '$name'" 5
}

test_messaging() {
    need_container
    local thread
    thread=$(docker exec "$container" python -c 'import uuid; print(uuid.uuid4())')
    post /tr/v1/str/ "{\"tid\": \"$thread\", \"ename\": \"campaign_update\", \"campaign_status\": \"active\", \"subject\": \"Hello\"}"
    expect "a thread" "SELECT count(*) AS n FROM mthreads WHERE tid = '$thread'" 1
    expect "its message" "SELECT count(*) AS n FROM mstore WHERE tid = '$thread'" 1
}

test_all() {
    verify_tables
    test_events
    test_messaging
}

need_docker
case ${1:-} in
    build) build ;;
    run) run ;;
    stop)
        docker container inspect "$container" >/dev/null 2>&1 || stop_here 1 "there is no container $container"
        docker stop "$container" >/dev/null
        docker rm "$container" >/dev/null
        echo "$container is gone; its data stays in the volume $container-data"
        ;;
    clean)
        [ "${SURE:-}" = yes ] || stop_here 2 "This removes the image and the volumes with their data: make docker-clean SURE=yes"
        docker rm --force "$container" >/dev/null 2>&1 || true
        docker volume rm --force "$container-data" "$container-clickhouse" >/dev/null
        docker image rm --force "$image" >/dev/null
        ;;
    logs) docker logs --tail "${LINES_SHOWN:-200}" "$container" ;;
    shell) need_container && exec docker exec --interactive --tty "$container" bash ;;
    clickhouse-shell)
        need_container
        need_clickhouse
        exec docker exec --interactive --tty "$container" bash -c \
            'CLICKHOUSE_PASSWORD=${CLICKHOUSE_PASSWORD:-$(cat "$CLICKHOUSE_DATA_DIR/.clickhouse_password")} \
             exec clickhouse client --user tracker --database sfpla'
        ;;
    verify-tables) verify_tables ;;
    test-events) test_events ;;
    test-messaging) test_messaging ;;
    test-all) test_all ;;
    rebuild-test)
        docker rm --force "$container" >/dev/null 2>&1 || true
        build
        run
        test_all
        ;;
    *) stop_here 2 "docker.sh build|run|stop|clean|logs|shell|clickhouse-shell|verify-tables|test-events|test-messaging|test-all|rebuild-test" ;;
esac
