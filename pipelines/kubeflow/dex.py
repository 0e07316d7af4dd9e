"""A login through Dex's web forms, as in a browser: most installations of Kubeflow use Dex.

The server sends a client without a session to Dex (directly, or by oauth2-proxy's sign-in page),
Dex offers its connectors when it has several, the connector (its own password list, or LDAP) shows
a form, Dex may request approval, and the last redirect sets the session's cookies.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import get_cookie_header

from pipelines.kubeflow.api_errors import AccessDenied, ClusterError, Unavailable

TIMEOUTS_SECONDS = (10, 30)  # to connect, to answer
_CONNECTORS = ("local", "ldap")  # tried first, in this order
_MAX_PAGES = 8


class DexSession:
    """Cookies of a session that is opened when first needed, and again when it has expired."""

    mode = "dex"
    source = "the user of DECANT_KFP_USERNAME"
    hint = "check DECANT_KFP_USERNAME and DECANT_KFP_PASSWORD, and log in with a browser once"

    def __init__(self, host: str, user: str, password: str, *, ca: Path | None = None) -> None:
        self._host = host
        self._user = user
        self._password = password
        self._ca = ca
        self._session: requests.Session | None = None
        self._shown_never = {password}

    def headers(self, url: str) -> dict[str, str]:
        if self._session is None:
            self._log_in()
        assert self._session
        cookies = get_cookie_header(self._session.cookies, requests.Request("GET", url))
        return {"Cookie": cookies} if cookies else {}

    def renew(self) -> bool:
        self._log_in()
        return True

    def secrets(self) -> set[str]:
        return set(self._shown_never)

    def _log_in(self) -> None:
        """Raises AccessDenied when Dex refuses the password, or shows no form for one."""
        with requests.Session() as session:
            session.verify = str(self._ca) if self._ca else True
            try:
                page = self._walk(session, session.get(self._host, timeout=TIMEOUTS_SECONDS))
            except requests.exceptions.SSLError:
                raise ClusterError(
                    f"the certificate of {self._host} is not trusted",
                    code="certificate-untrusted",
                    hint="give --ca FILE",
                ) from None
            except requests.RequestException as error:
                raise Unavailable(
                    f"login at {self._host} failed: {type(error).__name__}",
                    code="cluster-unavailable",
                    hint="check --host and the network",
                ) from None
        self._shown_never.update(cookie.value for cookie in session.cookies if cookie.value)
        if page.status_code >= 400:
            raise AccessDenied(
                f"the login at {self._host} ended with HTTP {page.status_code}",
                code="cluster-access-denied",
                hint=self.hint,
            )
        if not session.cookies:
            raise AccessDenied(
                f"{self._host} shows no login form",
                code="cluster-access-denied",
                hint="use --auth none or --auth token",
            )
        self._session = session

    def _walk(self, session: requests.Session, answer: requests.Response) -> requests.Response:
        """Follow forms and links until a page requests nothing more."""
        connectors: list[str] = []
        has_sent_password = False
        for _ in range(_MAX_PAGES):
            page = read_page(answer.text)
            if (form := page.form_with("password")) and not has_sent_password:
                answer = self._submit(session, answer, form, self._filled(form))
                has_sent_password = True
            elif form and connectors:
                answer = session.get(connectors.pop(0), timeout=TIMEOUTS_SECONDS)
                has_sent_password = False
            elif form:
                raise AccessDenied(
                    "Dex refuses the user or the password",
                    code="cluster-access-denied",
                    hint=self.hint,
                )
            elif not has_sent_password and (found := page.connectors(answer.url)):
                connectors = found
                answer = session.get(connectors.pop(0), timeout=TIMEOUTS_SECONDS)
            elif form := page.form_with("approval"):
                answer = self._submit(session, answer, form, {**form.fields, "approval": "approve"})
            elif form := page.sign_in():
                answer = self._submit(session, answer, form, form.fields)
            else:
                return answer
        raise AccessDenied(
            f"the login at {self._host} does not end",
            code="cluster-access-denied",
            hint="use --auth token",
        )

    def _filled(self, form: "Form") -> dict[str, str]:
        password = next(name for name, kind in form.kinds.items() if kind == "password")
        user = next((name for name, kind in form.kinds.items() if kind in ("text", "email")), "")
        return {**form.fields, user or "login": self._user, password: self._password}

    def _submit(
        self, session: requests.Session, answer: requests.Response, form: "Form", data: object
    ) -> requests.Response:
        target = urljoin(answer.url, form.action) if form.action else answer.url
        if self._host.startswith("https://") and not target.startswith("https://"):
            raise AccessDenied(
                f"the login form of {self._host} leads to a server without encryption",
                code="cluster-access-denied",
                hint="use --auth token",
            )
        if form.method == "post":
            return session.post(target, data=data, timeout=TIMEOUTS_SECONDS)
        return session.get(target, params=data, timeout=TIMEOUTS_SECONDS)


@dataclass
class Form:
    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)  # name to value, of hidden inputs
    kinds: dict[str, str] = field(default_factory=dict)  # name to type, of all inputs


class Page(HTMLParser):
    """The forms and links of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "input" and given.get("name") and self.forms:
            kind = given.get("type", "text").lower()
            self.forms[-1].kinds[given["name"]] = kind
            if kind == "hidden":
                self.forms[-1].fields[given["name"]] = given.get("value", "")

    def form_with(self, name: str) -> Form | None:
        """The first form that has an input of this name or type."""
        found = (form for form in self.forms if name in {*form.kinds, *form.kinds.values()})
        return next(found, None)

    def sign_in(self) -> Form | None:
        """The button of oauth2-proxy's sign-in page."""
        return next((form for form in self.forms if form.action.endswith("/oauth2/start")), None)

    def connectors(self, base: str) -> list[str]:
        """URLs of Dex's connectors: those that take a password first."""
        urls = [urljoin(base, link) for link in self.links if "/auth/" in urlsplit(link).path]
        names = [urlsplit(url).path.rstrip("/").rpartition("/")[2] for url in urls]
        rank = {name: place for place, name in enumerate(_CONNECTORS)}
        order = sorted(range(len(urls)), key=lambda at: rank.get(names[at], len(rank)))
        return [urls[at] for at in order]


def read_page(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page
