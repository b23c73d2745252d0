# One image for every process of ours; the command chooses which.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/kitepilot
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/kitepilot/bin/pip install --require-hashes -r requirements.lock
COPY kitepilot kitepilot
COPY flows flows
COPY broker_adapter broker_adapter
COPY api api
COPY infra infra
RUN /opt/kitepilot/bin/pip install --no-deps . \
 && NUMBA_CACHE_DIR=/opt/kitepilot/kernels /opt/kitepilot/bin/kitepilot warm

FROM python:3.11.13-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --home-dir /var/lib/kitepilot --create-home kitepilot
COPY --from=build /opt/kitepilot /opt/kitepilot
ENV PATH=/opt/kitepilot/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/opt/kitepilot/kernels
USER kitepilot
WORKDIR /var/lib/kitepilot
VOLUME /var/lib/kitepilot
ENTRYPOINT []
CMD ["kitepilot", "--help"]
