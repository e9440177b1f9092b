"""The addresses of the console."""

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from operations import batch, clients
from operations.api import NoAnswer
from operations.batches import NotABatch
from operations.console import pages_batches as batches
from operations.console import pages_books as books
from operations.console import pages_health as health
from operations.console import pages_payments as payments
from operations.console.desk import Desk
from operations.console.page import FOLDER, MOST_BYTES, Refused, on_failure, templates
from operations.console.security import Guard, Session

_FORM_BYTES: Final = 64 * 1024

ROUTES: Final = [
    Route("/", payments.home),
    Route("/payments", payments.listed),
    Route("/payments/{payment_id}", payments.one),
    Route("/payments/{payment_id}/{verb}", payments.ask, methods=["GET"]),
    Route("/payments/{payment_id}/{verb}", payments.act, methods=["POST"]),
    Route(
        "/payments/{payment_id}/refunds/{refund_id}/review",
        payments.ask_about_refund,
        methods=["GET"],
    ),
    Route(
        "/payments/{payment_id}/refunds/{refund_id}/review",
        payments.decide_about_refund,
        methods=["POST"],
    ),
    Route("/pay", payments.new, methods=["GET"]),
    Route("/pay", payments.pay, methods=["POST"]),
    Route("/reviews", payments.reviews),
    Route("/unanswered", payments.unanswered, methods=["GET"]),
    Route("/unanswered", payments.resend, methods=["POST"]),
    Route("/batches", batches.listed, methods=["GET"]),
    Route("/batches", batches.upload, methods=["POST"]),
    Route("/batches/pay", batches.pay, methods=["POST"]),
    Route("/batches/{batch_id}", batches.one),
    Route("/batches/{batch_id}/{name}", batches.report),
    Route("/books", books.books, methods=["GET"]),
    Route("/books", books.prove, methods=["POST"]),
    Route("/health", health.health, methods=["GET"]),
    Route("/health", health.redrive, methods=["POST"]),
    Mount("/static", StaticFiles(directory=FOLDER / "static")),
]

_FAILURES: Final = (
    *clients.AWS_FAILURES,
    *(batch.Refused, BotoCoreError, ClientError, NoAnswer, NotABatch, OSError, Refused),
)


def console(desk: Desk, session: Session) -> Starlette:
    """Return the console of a desk, for the browser that has the session."""
    made = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard, session=session)],
        exception_handlers=dict.fromkeys(_FAILURES, on_failure),
        max_body_size=MOST_BYTES + _FORM_BYTES,
    )
    made.state.desk = desk
    made.state.session = session
    made.state.templates = templates()
    return made
