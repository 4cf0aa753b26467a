# One image for the coordinator, its console and its backups; neither torch nor Flower is in it.
# Built without a network but for the base image: the folder wheelhouse/ is made as docs/runbook.md says.
#   docker build -f deploy/images/coordinator.Dockerfile -t creditmesh-coordinator:0.1.0 .
# The base is named by its tag, because a digest was not looked up where this was written. For production give one:
#   --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
SHELL ["/bin/sh", "-eu", "-c"]
WORKDIR /wheelhouse
COPY wheelhouse/ ./
COPY requirements/coordinator.lock ./
RUN sha256sum --check --strict SHA256SUMS \
    && python -m venv --copies /opt/creditmesh \
    && /opt/creditmesh/bin/python -m pip install --no-cache-dir --no-index --find-links . --no-deps --require-hashes -r coordinator.lock \
    && /opt/creditmesh/bin/python -m pip install --no-cache-dir --no-index --no-deps ./creditmesh-*.whl \
    && /opt/creditmesh/bin/creditmesh-coordinator --help >/dev/null

FROM ${BASE}
RUN groupadd --gid 10001 creditmesh \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/creditmesh --shell /usr/sbin/nologin creditmesh \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/creditmesh
COPY --from=build /opt/creditmesh /opt/creditmesh
ENV PATH=/opt/creditmesh/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/creditmesh
VOLUME ["/var/lib/creditmesh"]
STOPSIGNAL SIGTERM
EXPOSE 8443 8444
# Somebody listens where banks dial; what they are told is the business of `creditmesh-node doctor`.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8443), 3).close()"]
ENTRYPOINT ["creditmesh-coordinator"]
CMD ["run", "--config", "/var/lib/creditmesh/coordinator.toml"]
