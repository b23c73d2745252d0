# One image for every process of ours; the command chooses which.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/kitepilot
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/kitepilot/bin/pip install --require-hashes -r requirements.lock
COPY dbt_project/requirements.lock dbt.lock
RUN python -m venv /opt/dbt && /opt/dbt/bin/pip install --require-hashes -r dbt.lock
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
COPY --from=build /opt/dbt /opt/dbt
COPY dbt_project /opt/dbt_project
ENV PATH=/opt/kitepilot/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/opt/kitepilot/kernels \
    KITEPILOT_DBT=/opt/dbt/bin/dbt KITEPILOT_DBT_PROJECT=/opt/dbt_project
USER kitepilot
WORKDIR /var/lib/kitepilot
VOLUME /var/lib/kitepilot
ENTRYPOINT []
CMD ["kitepilot", "--help"]
