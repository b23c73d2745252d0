"""Questions for the research process and backtests for its shelf: off the event loop, never many at once."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread

from api.problems import Flaw, Problem
from infra.research import jobs
from infra.research.jobs import Job, ShelfFullError
from infra.research.process import ResearchAwayError, ResearchProcess, command, environment, log_file
from infra.research.words import Answer, Check, Question, Refusal, Wanted
from kitepilot.run import Run

BACKTESTS = "backtests"
THREADS = 8  # of their own: no command to stop trading waits for one
LARGE_BYTES = 512 << 10  # an upload that takes seconds to look at, which no preview waits for
LARGE_WAITING = 2  # at once
STARTING_IS_WAITED_FOR_S = 20.0  # by a large upload, rather than that it is sent again
MAGIC = b"PAR1"
UPLOADS = {False: "upload.csv", True: "upload.parquet"}  # by its first bytes, whatever it was called
T = TypeVar("T")


class Maker(Protocol):
    """Whoever makes the backtests that wait."""

    def poll(self) -> int | None:
        """None while it is at it."""
        ...


Begin = Callable[[Run], Maker]


def started(run: Run) -> Maker:
    """A process that outlives this one."""
    with log_file(run, BACKTESTS).open("ab") as out:
        return subprocess.Popen(
            command(BACKTESTS),
            env=environment(run),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class ResearchDesk:
    """A process for questions, one for large uploads, one for backtests: none is there before it is asked."""

    def __init__(self, run: Run, begin: Begin | None = None) -> None:
        self._run = run
        self._begin = begin or started
        self._process = ResearchProcess(run)
        self._large = ResearchProcess(
            run, starting_within_s=STARTING_IS_WAITED_FOR_S, most_waiting=LARGE_WAITING
        )
        self._limiter: CapacityLimiter | None = None
        self._turn = threading.Lock()
        self._maker: Maker | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises `Problem`: research_unreachable, or refused with what is wrong."""
        return await self._threaded(partial(self._ask, question))

    async def put(self, job_id: str, wanted: Wanted, content: bytes = b"") -> Wanted:
        """Check it, lay it down and see that somebody makes it; what lay there under that id is given back.

        Raises:
            Problem: refused, conflict (too many wait), research_unreachable.
        """
        return await self._threaded(partial(self._put, job_id, wanted, content))

    async def jobs(self) -> list[Job]:
        """Newest first. Those that wait are seen to."""
        return await self._threaded(self._jobs)

    async def job(self, job_id: str) -> Job:
        """Raises `Problem`: not_found."""
        return await self._threaded(partial(self._job, job_id))

    async def cancel(self, job_id: str) -> Job:
        """Raises `Problem`: not_found, conflict (it is over)."""
        return await self._threaded(partial(self._cancel, job_id))

    async def report(self, job_id: str) -> bytes:
        """The page. Raises `Problem`: not_found."""
        return await self._threaded(partial(self._report, job_id))

    def close(self) -> None:
        """Let go of the processes for questions; a backtest that is being made goes on."""
        self._process.close()
        self._large.close()

    async def _threaded(self, act: Callable[[], T]) -> T:
        if self._limiter is None:
            self._limiter = CapacityLimiter(THREADS)
        return await to_thread.run_sync(act, limiter=self._limiter)

    def _ask(self, question: Question, process: ResearchProcess | None = None) -> Answer:
        try:
            answer = (process or self._process).ask(question)
        except ResearchAwayError as err:
            raise Problem("research_unreachable", f"{err}", headers={"Retry-After": "2"}) from err
        if answer.refusal is not None:
            raise Problem("refused", answer.refusal.detail, errors=_flaws(answer.refusal))
        return answer

    def _put(self, job_id: str, wanted: Wanted, content: bytes) -> Wanted:
        if (known := jobs.job(self._run.home, job_id)) is not None:
            return known.wanted
        self._ask(Check(wanted, content), self._large if len(content) > LARGE_BYTES else None)
        upload = (UPLOADS[content.startswith(MAGIC)], content) if content else None
        try:
            laid = jobs.put(self._run.home, job_id, wanted, upload)
        except ShelfFullError as err:
            raise Problem("conflict", f"{err}") from err
        self._see_to_it()
        return laid

    def _jobs(self) -> list[Job]:
        found = jobs.jobs(self._run.home)
        if any(each.told.state == "waiting" for each in found):
            self._see_to_it()
        return found

    def _job(self, job_id: str) -> Job:
        found = jobs.job(self._run.home, job_id)
        if found is None:
            raise Problem("not_found", "No such backtest: GET /api/v1/backtests lists them.")
        if found.told.state == "waiting":
            self._see_to_it()
        return found

    def _cancel(self, job_id: str) -> Job:
        standing = self._job(job_id)
        if standing.told.state in jobs.OVER and standing.told.state != "cancelled":
            raise Problem("conflict", f"It is over: {standing.told.state}.")
        folder = jobs.folder_of(self._run.home, job_id)
        if folder is not None:
            jobs.cancel(folder)
        return self._job(job_id)

    def _report(self, job_id: str) -> bytes:
        folder = jobs.folder_of(self._run.home, job_id)
        try:
            if folder is not None:
                return (folder / jobs.REPORT).read_bytes()
        except FileNotFoundError:
            pass
        raise Problem("not_found", "There is no report of that backtest, or not yet.")

    def _see_to_it(self) -> None:
        """Somebody makes what waits; one is enough."""
        with self._turn:
            if self._maker is not None and self._maker.poll() is None:
                return
            if jobs.working(self._run.home):
                return
            self._maker = self._begin(self._run)


def _flaws(refusal: Refusal) -> list[Flaw]:
    rows = [
        Flaw(f"row {each.row}" + (f" ({each.tradingsymbol})" if each.tradingsymbol else ""), each.reason)
        for each in refusal.refused
    ]
    return rows + [Flaw("line", f"too many or too few cells: {text[:80]}") for text in refusal.cut_lines]
