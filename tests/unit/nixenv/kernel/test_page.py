"""What a kernel keeps of the pages that show its notebook, without any Jupyter."""

from __future__ import annotations

import threading

import pytest

from nixenv.kernel.page import PAGES_AT_MOST, Change, Pages, expected

A, B, C = ({"requirements": [name]} for name in "abc")


class Tab:
    """One page: what it was sent."""

    def __init__(self, pages: Pages, session: str, value=A, path: str = "x/a.ipynb") -> None:
        self.sent = []
        self.arrived = threading.Event()
        self.pages = pages
        self.comm = f"comm-{session}"
        pages.opened(self.comm, session, {"version": 1, "path": path, "nixenv": value}, self._take)
        self.page = pages.of_session(session)

    def _take(self, message) -> None:
        self.sent.append(message)
        self.arrived.set()

    def tell(self, **data) -> None:
        self.pages.told(self.comm, data)


@pytest.fixture
def pages() -> Pages:
    return Pages(patience=0.01)


def test_change_is_sent_with_its_base_and_forgotten_when_answered(pages):
    tab = Tab(pages, "one")
    assert pages.hand_over(tab.page, A, B)
    assert tab.sent == [{"serial": 1, "base": A, "nixenv": B}]
    assert pages.value_of(tab.page) == B
    tab.tell(nixenv=B)
    tab.tell(applied=1)
    assert Tab(pages, "two").sent == []


@pytest.mark.parametrize(
    ("said", "now"),
    [
        (A, C),
        (B, C),
        (C, C),
        (None, None),
        ({"requirements": ["a", "z"]}, {"requirements": ["a", "z"]}),
    ],
)
def test_value_counts_what_is_on_its_way(said, now):
    changes = [Change(1, "a", A, B), Change(2, "a", B, C)]
    assert expected(said, changes) == now


def test_refused_change_is_forgotten(pages):
    tab = Tab(pages, "one")
    pages.hand_over(tab.page, A, B)
    tab.tell(nixenv=C)
    tab.tell(refused=1)
    assert pages.value_of(tab.page) == C
    assert Tab(pages, "two", C).sent == []


def test_edited_page_is_said_to_be_so(pages):
    tab = Tab(pages, "one")
    tab.tell(nixenv=C)
    assert not pages.hand_over(tab.page, A, B)


def test_change_that_the_user_takes_back_stays_taken_back(pages):
    tab = Tab(pages, "one")
    pages.hand_over(tab.page, A, B)
    tab.tell(nixenv=B)
    tab.tell(nixenv=A)
    assert pages.value_of(tab.page) == A


def test_unanswered_changes_go_to_the_next_page_of_the_document_once(pages):
    gone = Tab(pages, "one")
    pages.hand_over(gone.page, A, B)
    pages.hand_over(gone.page, B, C)
    pages.closed(gone.comm)
    assert Tab(pages, "other", path="x/b.ipynb").sent == []
    tab = Tab(pages, "two")
    assert tab.sent == gone.sent
    pages.begin(tab.page)
    assert len(tab.sent) == 2
    tab.tell(applied=1)
    tab.tell(applied=2)
    assert Tab(pages, "three", C).sent == []


def test_page_that_opens_again_takes_the_place_of_its_lost_comm(pages):
    tab = Tab(pages, "one")
    pages.opened("again", "one", {"path": "x/a.ipynb", "nixenv": C}, tab.sent.append)
    assert pages.value_of(pages.of_session("one")) == C
    tab.tell(nixenv=B)  # too late
    assert pages.value_of(pages.of_session("one")) == C


def test_page_that_opens_again_while_the_kernel_works_gets_the_outcome(pages):
    tab = Tab(pages, "one")
    pages.closed(tab.comm)
    assert pages.of_session("one") is None
    sent = []
    pages.opened("again", "one", {"path": "x/a.ipynb", "nixenv": A}, sent.append)
    assert pages.hand_over(tab.page, A, B)
    assert (len(sent), tab.sent) == (1, [])


def test_notebook_that_is_renamed_while_the_kernel_works_gets_the_outcome(pages):
    tab = Tab(pages, "one")
    pages.hand_over(tab.page, A, B)
    pages.closed(tab.comm)
    sent = []
    pages.opened("again", "one", {"path": "x/renamed.ipynb", "nixenv": A}, sent.append)
    assert sent == tab.sent
    assert pages.value_of(pages.of_session("one")) == B


def test_older_pages_of_the_document_are_not_told(pages):
    older, writer = Tab(pages, "one"), Tab(pages, "two")
    pages.hand_over(writer.page, A, B)
    assert older.sent == []


def test_newer_page_is_told_when_the_writer_does_not_answer(pages):
    """It was reloaded while the kernel worked."""
    writer, newer = Tab(pages, "one"), Tab(pages, "two")
    pages.hand_over(writer.page, A, B)
    assert newer.arrived.wait(60)
    assert newer.sent == writer.sent


def test_page_whose_cell_runs_is_told_what_only_others_were(pages):
    patient = Pages()
    writer, other = Tab(patient, "one"), Tab(patient, "two")
    patient.hand_over(writer.page, A, B)
    assert patient.begin(other.page) == B
    assert other.sent == writer.sent


def test_change_that_cannot_be_sent_never_was(pages):
    def fail(message):
        raise ValueError(message)

    pages.opened("broken", "one", {"path": "x/a.ipynb", "nixenv": A}, fail)
    with pytest.raises(ValueError, match="serial"):
        pages.hand_over(pages.of_session("one"), A, B)
    assert Tab(pages, "two").sent == []


@pytest.mark.parametrize("data", [None, 3, [], "x", {"nixenv": 1, "path": {}}, {"path": None}])
def test_whatever_is_said_is_survived(pages, data):
    pages.opened("odd", "one", data, print)
    pages.told("odd", data)
    pages.told("unknown", {"nixenv": 3, "applied": []})
    pages.closed("unknown")
    page = pages.of_session("one")
    assert page.name == "this notebook"
    pages.value_of(page)


def test_client_without_a_session_has_no_page(pages):
    pages.opened("odd", "", {}, print)
    assert pages.of_session("") is None
    assert pages.of_session({}) is None


def test_name_is_without_folder_and_drive(pages):
    assert Tab(pages, "one", path="RTC:a b.ipynb").page.name == "a b.ipynb"
    assert Tab(pages, "two", path="RTC:x/ä\n.ipynb").page.name == "ä\n.ipynb"


def test_pages_that_never_say_good_bye_are_forgotten(pages):
    tabs = [Tab(pages, str(number)) for number in range(PAGES_AT_MOST + 1)]
    assert pages.of_session("0") is None
    assert pages.of_session(str(PAGES_AT_MOST)) == tabs[-1].page
