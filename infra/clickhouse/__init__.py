"""The memory for analysis: ClickHouse by URL, or the embedded engine behind the same HTTP protocol.

Everything here but `server.py` and the modules it is made of talks HTTP only, so a real server takes the
embedded one's place by changing `storage.clickhouse_url`.
"""
