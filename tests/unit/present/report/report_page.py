"""A report as a reader of HTML sees it."""

from __future__ import annotations

from html.parser import HTMLParser

from headstart.pipeline.record import RunRecord
from headstart.present.report.write import render

VOID = {"meta", "link", "img", "br", "hr", "wbr"}


class Page(HTMLParser):
    """The page as a reader of HTML sees it; fails on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.windows: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.windows.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.windows).split())

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


def page(record: RunRecord) -> Page:
    return Page(render(record))
