"""What stands between a browser and the operator's credentials.

Everything on this machine, and every web page that the operator's browser has open, can send requests
to a local server. So one is answered only if all of this holds:

- ``Host`` is the address that the console told. Another name that leads here (DNS rebinding) is none.
- The cookie has the session's secret. Only the address printed in the operator's terminal sets it, once.
- A change comes from a page of ours: ``Origin`` is ours, and the form has the session's token.

Pages may load nothing from anywhere else, run no script but the one file, and be shown in no frame.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY: Final = "key"
"""The parameter of the printed address that opens the session."""

_WELCOME: Final = (
    '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url=/payments">'
    '<title>Payments</title><p><a href="/payments">Payments</a>'
)
_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it, browsers would send no origin with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Session:
    """The one session of a console: its address, and its secrets, which live as long as it runs."""

    authority: str
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie_name(self) -> str:
        """The name of its cookie, of its own: browsers keep the cookies of all ports in one place."""
        return f"payments_console_{self.authority.rpartition(':')[2]}"

    @property
    def origin(self) -> str:
        """Where the console is, as browsers write it."""
        return f"http://{self.authority}"

    @property
    def door(self) -> str:
        """The address that opens the session, once."""
        return f"{self.origin}/?{KEY}={self.key}"

    def opens(self, key: str) -> bool:
        """Say whether a key opens the session, and make it open nothing more if it does."""
        right = hmac.compare_digest(key.encode(), self.key.encode())
        if right:
            self.key = secrets.token_urlsafe(32)
        return right

    def is_token(self, text: str) -> bool:
        """Say whether a form came from a page of ours."""
        return hmac.compare_digest(text.encode(), self.token.encode())


class Guard:
    """Answers what is not the operator's, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, *, session: Session) -> None:
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(HTTPConnection(scope), str(scope["method"]))
        answering: ASGIApp = self._app if refusal is None else refusal
        await answering(scope, receive, send_guarded)

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        """Return the answer to what is not let through; ``None`` lets it through."""
        if request.headers.getlist("host") != [self._session.authority]:
            return _refused("This console is at another address.", HTTPStatus.MISDIRECTED_REQUEST)
        key = request.query_params.get(KEY)
        if key is not None and method == "GET" and self._session.opens(key):
            return self._welcome()
        given = request.cookies.get(self._session.cookie_name, "")
        if not hmac.compare_digest(given.encode(), self._session.cookie.encode()):
            return _refused(
                "This console is somebody's own. Open the address that it printed in the terminal;"
                " each opens one browser, once.",
                HTTPStatus.FORBIDDEN,
            )
        if method not in _CHANGES_NOTHING and not self._is_ours(request.headers):
            return _refused("Only pages of this console may change anything.", HTTPStatus.FORBIDDEN)
        return None

    def _is_ours(self, headers: Headers) -> bool:
        # Not "null", and not absent: every browser of the last years sends it with a form.
        return headers.getlist("origin") == [self._session.origin]

    def _welcome(self) -> Response:
        # A page that leads on, and no redirection: after one, a browser that came from elsewhere,
        # such as from a file, would not send the cookie.
        answer = HTMLResponse(_WELCOME)
        answer.set_cookie(
            self._session.cookie_name,
            self._session.cookie,
            httponly=True,
            samesite="strict",
            path="/",
        )
        return answer


def _refused(why: str, status: HTTPStatus) -> Response:
    return PlainTextResponse(why, status_code=status)
