"""The clients of `api_reads.py`, for Locust: each asks every route in turn, from a place of its own on."""

from __future__ import annotations

import json
import os
from itertools import count

from locust import FastHttpUser, constant, task

ROUTES: list[str] = json.loads(os.environ["KITEPILOT_READ_ROUTES"])
_places = count(step=7)  # neighbours do not ask the same at once


class Reader(FastHttpUser):
    """One client, its connection kept."""

    wait_time = constant(float(os.environ["KITEPILOT_READ_PAUSE_S"]))
    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        self._next = next(_places)

    @task
    def read(self) -> None:
        route = ROUTES[self._next % len(ROUTES)]
        self._next += 1
        name = "/api/v1/orders/{name}" if "/orders/" in route else route.split("?")[0]
        headers = {"authorization": f"Bearer {os.environ['KITEPILOT_READ_TOKEN']}"}
        with self.client.get(route, name=name, headers=headers, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
