"""A page as a browser without JavaScript sees it: its text, its forms, its links; for tests over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import requests

from deploy.scratch_server import ScratchServer

# A reader sees space after these.
_BREAKS = {"td", "th", "dt", "dd", "p", "li", "button", "summary"}


@dataclass
class Form:
    """A form: where it goes, its fields as they stand, the values of its buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """Reads one page."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.status, self.headers, self.html = answer.status_code, answer.headers, answer.text
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.tags: set[str] = set()
        self._text: list[str] = []
        self._area = ""
        self.feed(answer.text)

    @property
    def text(self) -> str:
        """All text, white space folded."""
        return re.sub(r"\s+", " ", "".join(self._text)).strip()

    def form(self, act: str) -> Form:
        """The form with a button for an act, or that goes to an address with this end."""
        return next(f for f in self.forms if act in f.buttons or f.action.partition("#")[0].endswith(act))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        match tag:
            case "form":
                self.forms.append(Form(at["action"]))
            case "input" if self.forms and at.get("type") != "checkbox":
                self.forms[-1].fields[at["name"]] = at.get("value", "")
            case "textarea":
                self._area = at["name"]
                self.forms[-1].fields[self._area] = ""
            case "button":
                self.forms[-1].buttons.append(at.get("value", ""))
            case "a":
                self.links.append(at["href"])
            case "img":
                self.images.append(at["src"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        if tag in _BREAKS:
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        self._text.append(data)
        if self._area:
            self.forms[-1].fields[self._area] += data


class Visitor:
    """One login with a session of its own, as a browser has it."""

    def __init__(self, server: ScratchServer, login: str | None) -> None:
        self.server, self.session = server, requests.Session()
        self.session.trust_env = False
        if login is not None:
            self.session.auth = (login, server.passwords[login])

    def get(self, path: str, **arguments: object) -> Page:
        given: Any = arguments
        return Page(self.session.get(f"{self.server.url}{path}", params=given, timeout=60))

    def version(self, model: str, number: int) -> Page:
        return self.get("/review/version", name=model, version=number)

    def send(self, form: Form, **changed: str) -> Page:
        """Send a form; the answer is what a browser shows at last."""
        url = f"{self.server.url}{form.action.partition('#')[0]}"
        return Page(self.session.post(url, data={**form.fields, **changed}, timeout=60))
