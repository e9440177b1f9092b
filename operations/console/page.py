"""What all pages have in common: where they are asked from, how they are shown, what goes wrong."""

import functools
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from operations import clients
from operations.api import Answer, NoAnswer
from operations.console import views
from operations.console.desk import Desk
from operations.failures import in_words

FOLDER: Final = Path(__file__).parent
MOST_BYTES: Final = 256 * 1024 * 1024
"""The largest file that may be uploaded by a browser; larger ones go by the command line."""

type Change = Callable[[Request, FormData], Response]


class Refused(Exception):
    """The API answered, and the answer is no."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.problem)
        self.answer = answer


def templates() -> Environment:
    """Return the templates; whatever they show is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = views.money
    environment.filters["moment"] = views.moment
    environment.filters["status"] = views.status
    environment.filters["tone"] = views.tone
    return environment


def desk(request: Request) -> Desk:
    """Return the desk that a page is asked from."""
    found: Desk = request.app.state.desk
    return found


def show(
    request: Request, template: str, status: int = HTTPStatus.OK, **context: Any
) -> HTMLResponse:
    """Return a page."""
    at, session = desk(request), request.app.state.session
    shown = request.app.state.templates.get_template(template).render(
        desk=at,
        token=session.token,
        path=request.url.path,
        unanswered=len(list(at.journal.waiting())),
        **context,
    )
    return HTMLResponse(shown, status_code=status)


def go(path: str) -> RedirectResponse:
    """Return a redirection to another page, so that reloading it changes nothing again."""
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)


def changes(act: Change) -> Callable[[Request], Any]:
    """Make an address of a function that changes something: only a form of ours gets to it."""

    @functools.wraps(act)
    async def address(request: Request) -> Response:
        session = request.app.state.session
        async with request.form(max_files=1) as form:
            token = form.get("token")
            if not isinstance(token, str) or not session.is_token(token):
                return trouble(
                    request, "This form is not of this session. Load the page again.", 403
                )
            return await run_in_threadpool(act, request, form)

    return address


def field(form: FormData, name: str) -> str:
    """Return what a person typed, without blanks around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def told(answer: Answer) -> dict[str, Any]:
    """Return what the API answered.

    Raises:
        Refused: it is no success.
    """
    if not answer.ok:
        raise Refused(answer)
    return answer.json()


def seen[T](look: Callable[[], T]) -> tuple[T | None, str]:
    """Look at a part of a page that the operator may not be allowed to see; else say why not."""
    try:
        return look(), ""
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if "AccessDenied" in code or code in {"403", "NotAuthorized"}:
            return None, f"You may not see this ({error.operation_name})."
        return None, in_words(error, os.environ)
    except clients.AWS_FAILURES as error:
        return None, in_words(error, os.environ)


def trouble(request: Request, what: str, status: int) -> Response:
    """Return a page that says what went wrong."""
    return show(request, "trouble.html", status=status, what=what)


async def on_failure(request: Request, error: Exception) -> Response:
    """Show what the API or AWS did not do, in words."""
    match error:
        case Refused(answer=answer):
            return trouble(request, str(error), answer.status)
        case NoAnswer():
            return trouble(
                request,
                f"No answer: {error}. What was sent may have arrived. It is kept under Unanswered,"
                " from where it can be sent again without harm.",
                HTTPStatus.BAD_GATEWAY,
            )
        case BotoCoreError() | ClientError():
            return trouble(request, in_words(error, os.environ), HTTPStatus.BAD_GATEWAY)
        case _:
            return trouble(request, str(error), HTTPStatus.BAD_REQUEST)


def given(values: Mapping[str, str]) -> dict[str, str]:
    """Return what a person filled in."""
    return {name: value.strip() for name, value in values.items() if value.strip()}
