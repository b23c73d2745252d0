# Superset with the ClickHouse driver; its pins fight ours, so it lives alone.
FROM apache/superset:6.1.0
USER root
RUN pip install --no-cache-dir "clickhouse-connect==1.12.0" "flask-caching>=2.1,<2.5" cachetools
COPY superset/superset_config.py /app/pythonpath/superset_config.py
USER superset
