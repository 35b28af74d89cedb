"""Updates that run while the agent goes on acting, with the same result every time.

A job is started at one turn of the loop and joined at a later one that is known beforehand: when
the next job is due. Until then the agent acts with the weights from before the job. How long it
takes decides how fast a run is, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from rlexp.types import Metrics


class Background:
    """At most one job in flight; without `threaded` a job runs when it is started."""

    def __init__(self, threaded: bool) -> None:
        self.pool: ThreadPoolExecutor | None = None
        if threaded:
            # torch's number of threads belongs to the thread that set it.
            self.pool = ThreadPoolExecutor(
                1, "rlexp-update", torch.set_num_threads, (torch.get_num_threads(),)
            )
        self.job: Future[Metrics | None] | None = None
        self.result: Metrics | None = None

    def start(self, job: Callable[[], Metrics | None]) -> None:
        """The job before must have been taken."""
        assert self.job is None, "a job is in flight"
        if self.pool is None:
            self.result = job()
        else:
            self.job = self.pool.submit(job)

    def join(self) -> None:
        """Wait for the job in flight, if any; its exception rises here. The result stays."""
        if self.job is not None:
            job, self.job = self.job, None
            self.result = job.result()

    def take(self) -> Metrics | None:
        """The result of the last job, once."""
        self.join()
        result, self.result = self.result, None
        return result
