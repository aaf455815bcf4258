from __future__ import annotations

from nixenv.kernel.progress_view import ProgressView, State, advance, describe, describe_html
from nixlib.progress import Note, Phase, Progress, to_json


def view_with_clock():
    now, painted = [0.0], []

    def paint(text, html):
        assert html.startswith("<div>")
        painted.append(text)

    view = ProgressView("%nixenv add x", paint, lambda: now[0])
    return view, now, painted


def test_engine_events_fold_into_a_line():
    state = State("%nixenv add x")
    for event in (
        Phase("resolve"),
        Phase("download"),
        Progress("download", 3, 12, 4_200_000, 18_000_000),
    ):
        state = advance(state, to_json(event))
    assert describe(state) == "%nixenv add x: downloading 3 of 12, 4.2 of 18.0 MB"
    assert '<progress value="4200000" max="18000000">' in describe_html(state)


def test_new_phase_forgets_the_counts_of_the_last():
    state = advance(State("h"), to_json(Progress("download", 3, 12)))
    state = advance(state, to_json(Phase("compose")))
    assert describe(state) == "h: composing the environment"


def test_unknown_events_change_nothing():
    state = State("h", "download", 1, 2)
    assert advance(state, {"event": "later"}) == state
    assert advance(state, to_json(Note("info", "x"))) == state
    assert advance(state, to_json(Note("warning", "x"))).warnings == ("x",)


def test_html_is_escaped():
    assert "<b>" not in describe_html(State("add <b>"))


def test_painting_is_limited_but_never_misses_a_phase_or_the_end():
    view, now, painted = view_with_clock()
    view.show(to_json(Phase("download")))
    for done in range(1, 101):
        now[0] += 0.002
        view.show(to_json(Progress("download", done, 100)))
    view.show(to_json(Phase("compose")))
    assert painted[0] == "%nixenv add x: downloading"
    assert painted[-2:] == [
        "%nixenv add x: downloading 100 of 100",
        "%nixenv add x: composing the environment",
    ]
    assert len(painted) == 4


def test_finish_leaves_one_line_or_nothing():
    view, now, painted = view_with_clock()
    view.finish()
    assert painted == []
    view.show(to_json(Phase("resolve")))
    now[0] = 1.26
    view.finish()
    assert painted[-1] == "%nixenv add x: 1.3 s"
