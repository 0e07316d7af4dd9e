"""Dex, and oauth2-proxy in front of it, as far as a login in a browser sees them."""

from dataclasses import dataclass, field
from html import escape
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, quote, unquote

from tests.pipelines.kfp_server import Answer, Request, as_page, redirect

SESSION = "oauth2_proxy_kubeflow"

FORM = """<!DOCTYPE html><html><body><form method="post" action="{action}">
<input tabindex="1" required id="login" name="login" type="text" autofocus/>
<input tabindex="2" required id="password" name="password" type="password"/>
{problem}<button tabindex="3" id="submit-login" type="submit">Login</button></form></html>"""

APPROVAL = """<form method="post"><input type="hidden" name="req" value="state-1"/>
<input type="hidden" name="approval" value="approve"><button type="submit">Grant</button></form>
<form method="post"><input type="hidden" name="req" value="state-1"/>
<input type="hidden" name="approval" value="rejected"><button>Cancel</button></form>"""

SIGN_IN = """<form method="GET" action="/oauth2/start">
<input type="hidden" name="rd" value="{back}"><button>Sign in with Dex</button></form>"""


@dataclass
class DexGate:
    """Lets in those who have a session; sends others through the login.

    Attributes:
        connectors: connector to its users and their passwords; several are offered on a page.
        sessions: cookies that are valid; a login makes one more.
        asks_for_approval, shows_sign_in: pages that some installations put in between.
    """

    connectors: dict[str, dict[str, str]]
    sessions: set[str] = field(default_factory=set)
    asks_for_approval: bool = False
    shows_sign_in: bool = False
    logins: int = 0

    def __call__(self, request: Request) -> Answer | None:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        session = cookies[SESSION].value if SESSION in cookies else ""
        parts = request.path.strip("/").split("/")
        match parts:
            case ["oauth2", "start"]:
                csrf = {"Set-Cookie": "oauth2_proxy_csrf=csrf-1; Path=/; HttpOnly"}
                return redirect("/dex/auth?client_id=kubeflow&state=state-1", **csrf)
            case ["oauth2", "callback"]:
                return self._open_session(cookies)
            case ["dex", "auth"]:
                return self._choose()
            case ["dex", "auth", connector]:
                return redirect(f"/dex/auth/{connector}/login?back=&state=state-1")
            case ["dex", "auth", connector, "login"]:
                return self._login(unquote(connector), request)
            case ["dex", "approval"]:
                return self._approval(request)
        if session in self.sessions:
            return None
        if self.shows_sign_in:
            return as_page(SIGN_IN.format(back=escape(request.path)), 403)
        return redirect(f"/oauth2/start?rd={quote(request.path)}")

    def _choose(self) -> Answer:
        if len(self.connectors) == 1:
            return redirect(f"/dex/auth/{next(iter(self.connectors))}?state=state-1")
        links = "".join(
            f'<a href="/dex/auth/{quote(name)}?state=state-1"><button>with {name}</button></a>'
            for name in self.connectors
        )
        return as_page(f"<html><head><link href='/dex/theme.css'></head>{links}</html>")

    def _login(self, connector: str, request: Request) -> Answer:
        action = f"/dex/auth/{quote(connector)}/login?back=&amp;state=state-1"
        if request.method == "GET":
            return as_page(FORM.format(action=action, problem=""))
        assert request.query["state"] == "state-1"
        sent = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if self.connectors[connector].get(sent["login"]) != sent["password"]:
            return as_page(FORM.format(action=action, problem=f"Invalid {sent['password']}"), 401)
        target = "/dex/approval?req=state-1" if self.asks_for_approval else "/oauth2/callback"
        return redirect(target, 303)

    def _approval(self, request: Request) -> Answer:
        if request.method == "GET":
            return as_page(APPROVAL)
        sent = parse_qs(request.body.decode())
        assert sent == {"req": ["state-1"], "approval": ["approve"]}
        return redirect("/oauth2/callback", 303)

    def _open_session(self, cookies: SimpleCookie) -> Answer:
        assert cookies["oauth2_proxy_csrf"].value == "csrf-1"
        self.logins += 1
        session = f"session-cookie-{self.logins}"
        self.sessions.add(session)
        cookie = {"Set-Cookie": f"{SESSION}={session}; Path=/; HttpOnly"}
        return redirect("/", 302, **cookie)
