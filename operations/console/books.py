"""The last proof of the books. It reads everything, so it is made when somebody asks for it."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from operations import clients
from operations.failures import in_words
from operations.ledger import TooBusy
from operations.proving import Proof


@dataclass(slots=True)
class LastProof:
    """A proof that is being made, or was: ``ended`` says when, ``error`` what stopped it."""

    proof: Proof
    began: datetime
    ended: datetime | None = None
    error: str = ""


class Bookkeeping:
    """Makes one proof at a time, in the background, and keeps the last one."""

    def __init__(self, prove: Callable[[], Iterator[Proof]]) -> None:
        self._prove = prove
        self._lock = threading.Lock()
        self.last: LastProof | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether a proof is being made."""
        return self.last is not None and self.last.ended is None

    def begin(self) -> None:
        """Begin a proof, unless one is being made."""
        with self._lock:
            if self.is_at_work:
                return
            self.last = LastProof(Proof(), datetime.now(UTC))
            threading.Thread(target=self._work, args=[self.last], daemon=True).start()

    def _work(self, last: LastProof) -> None:
        try:
            for proof in self._prove():
                last.proof = proof
        except (*clients.AWS_FAILURES, TooBusy) as error:
            last.error = in_words(error, os.environ)
        except Exception as error:
            last.error = f"the proof ended with {type(error).__name__}"
            raise
        finally:
            last.ended = datetime.now(UTC)
