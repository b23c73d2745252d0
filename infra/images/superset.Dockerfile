# Superset by the same lock, settings, bootstrap and assets as `make dashboards`; its pins fight ours.
FROM python:3.11.13-slim-bookworm
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 DO_NOT_TRACK=1
RUN useradd --uid 10002 --user-group --home-dir /app/superset_home --create-home superset \
 && python -m venv /opt/superset
ENV PATH=/opt/superset/bin:$PATH
COPY superset/requirements.lock /tmp/requirements.lock
RUN pip install --require-hashes -r /tmp/requirements.lock && rm /tmp/requirements.lock
COPY superset /app/superset
COPY dbt_project/models /app/dbt_project/models
RUN python /app/superset/remove_telemetry.py
USER superset
WORKDIR /app/superset_home
ENV SUPERSET_HOME=/app/superset_home SUPERSET_CONFIG_PATH=/app/superset/superset_config.py
VOLUME /app/superset_home
EXPOSE 8088
CMD ["sh", "-c", "python /app/superset/bootstrap.py && exec gunicorn --bind 0.0.0.0:8088 --workers 1 --worker-class gthread --threads 8 --timeout 120 --no-control-socket 'superset.app:create_app()'"]
