# The tracker without ClickHouse is the target `tracker`; with ClickHouse beside it, `tracker-clickhouse`.
# Only the first stage talks to a package registry; nothing of how it does so reaches the image.

FROM python:3.11-slim-bookworm AS dependencies
# As pip reads them from its environment; `make docker-build` gives those that are set there.
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT
COPY requirements.lock /build/
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --require-hashes --requirement /build/requirements.lock \
 && /opt/venv/bin/python -m pip uninstall --yes --quiet setuptools pip

FROM python:3.11-slim-bookworm AS tracker
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin tracker \
 && install --directory --owner=tracker --group=tracker --mode=0700 /app/data
COPY --from=dependencies /opt/venv /opt/venv
COPY . /app/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRACKER_PROXYEXCEPTHTTP=0.0.0.0:8880
WORKDIR /app
USER tracker
VOLUME /app/data
EXPOSE 8880
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['TRACKER_PROXYEXCEPTHTTP'].rpartition(':')[2]), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["/app/entrypoint.sh"]

FROM clickhouse/clickhouse-server:26.9 AS clickhouse

FROM tracker AS tracker-clickhouse
COPY --from=clickhouse /usr/bin/clickhouse /usr/bin/clickhouse
USER root
RUN install --directory --owner=tracker --group=tracker --mode=0700 \
        /var/lib/clickhouse /var/log/clickhouse-server /etc/clickhouse-tracker
USER tracker
ENV WITH_CLICKHOUSE=1 \
    SERVER_ID=1 \
    NUM_NODES=1 \
    CONTAINER_NAME_PATTERN=v4-tracker \
    CLUSTER_NAME=tracker_cluster \
    CLICKHOUSE_DATA_DIR=/var/lib/clickhouse \
    CLICKHOUSE_LOG_DIR=/var/log/clickhouse-server
VOLUME /var/lib/clickhouse
EXPOSE 8123 9000 2181 9009 9444

FROM tracker
