"""What ended a run, in words that say how to go on."""

from __future__ import annotations

import errno

from rlexp import checkpoint, run_dir
from rlexp.errors import RunStopped, stopped_by
from rlexp.guard import NonFinite
from rlexp.run_dir import RunDir
from rlexp.saver import Saver
from rlexp.shell import command

DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO)


def explained(ex: BaseException, run: RunDir, saver: Saver, step: int) -> BaseException:
    """The exception to raise for `ex`: itself, or one that tells what is whole and what to do.

    Keeps the batch of an update that was no number.
    """
    go_on = command("rlexp", "resume", run.path)
    if isinstance(ex, SystemExit):
        return stopped_by(ex)
    if isinstance(ex, NonFinite):
        folder = run_dir.save_batch(run, ex, step)
        return RunStopped(
            f"{ex} after step {step}; no weights were changed by it. "
            f"Its batch is in {folder}; to repeat it from {_last(run, saver)}: {go_on}"
        )
    full = isinstance(ex, OSError) and ex.errno in DISK
    if full or isinstance(ex, checkpoint.CannotSave):
        return RunStopped(f"{ex}. {_last(run, saver)} is whole: make room, then {go_on}")
    return ex


def _last(run: RunDir, saver: Saver) -> str:
    try:
        saver.join()
    except Exception:
        pass  # told already, or about to be
    folders = run.full_checkpoints()
    return f"checkpoint {folders[-1].name}" if folders else "the start"
