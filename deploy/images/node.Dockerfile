# One image for a bank's node, its decision API and its backups; scorecard and trees, without torch.
# Built without a network but for the base image: the folder wheelhouse/ is made as docs/runbook.md says.
#   docker build -f deploy/images/node.Dockerfile -t creditmesh-node:0.1.0 .
# The base is named by its tag, because a digest was not looked up where this was written. For production give one:
#   --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
SHELL ["/bin/sh", "-eu", "-c"]
WORKDIR /wheelhouse
COPY wheelhouse/ ./
COPY requirements/node.lock ./
RUN sha256sum --check --strict SHA256SUMS \
    && python -m venv --copies /opt/creditmesh \
    && /opt/creditmesh/bin/python -m pip install --no-cache-dir --no-index --find-links . --no-deps --require-hashes -r node.lock \
    && /opt/creditmesh/bin/python -m pip install --no-cache-dir --no-index --no-deps ./creditmesh-*.whl \
    && /opt/creditmesh/bin/creditmesh-node --help >/dev/null

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
# A node listens nowhere, so its own doctor is asked; 3 means that it works and something waits for a person.
HEALTHCHECK --interval=10m --timeout=120s --start-period=60s --retries=2 \
    CMD ["/bin/sh", "-c", "creditmesh-node doctor --config /var/lib/creditmesh/node.toml >/dev/null || test $? -eq 3"]
ENTRYPOINT ["creditmesh-node"]
CMD ["run", "--config", "/var/lib/creditmesh/node.toml"]
