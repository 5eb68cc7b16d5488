"""The matte tools in the window: their panels and actions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gui.actions import ActionSpec
from gui.matte.editor import MatteEditor
from gui.matte.panel import MattePanel
from gui.matte.review import ReviewList
from gui.panels import PanelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.matte.brush import Brush
    from gui.session import Session
    from gui.window import Window


def editor_of(window: Window) -> MatteEditor:
    """The window's matte editor; made when it is first asked for."""
    found = window.findChild(MatteEditor)
    if found is None:
        found = MatteEditor(window.viewer, window.project.history, window.background, window.say, window)
        window.renderer.shown.connect(found.picture_shown)
        found.changed.connect(lambda: _tell_renderer(window, found))
        window.renderer.sources["dub"] = found.live.frame
    return found


class MatteDock(MattePanel):
    """The tools, connected to the window."""

    def __init__(self, window: Window) -> None:
        super().__init__(editor_of(window))
        self.curve.scrubbed.connect(window.go_to)

    def may_close(self) -> bool:
        """Save what is not saved yet; ask where that fails."""
        from PySide6.QtWidgets import QMessageBox

        sentence = self._editor.save_now()
        if sentence is None:
            return True
        answer = QMessageBox.question(
            self, "The matte is not saved", f"{sentence}\n\nQuit all the same, and lose the last edits of the matte?"
        )
        return answer is QMessageBox.StandardButton.Yes

    def shut_down(self) -> None:
        """The window closes."""
        self._editor.shut_down()


def review_list(window: Window) -> ReviewList:
    """The stretches, connected to the playhead."""
    panel = ReviewList(editor_of(window), window.background, window.say)
    panel.chosen.connect(window.go_to)
    return panel


def _tell_renderer(window: Window, editor: MatteEditor) -> None:
    if window.renderer.live_matte != editor.folder:
        window.renderer.live_matte = editor.folder
        window.renderer.show(window.session)
        window.update_actions()
    if editor.picture_changed():
        window.renderer.show(window.session)


def _review(window: Window) -> ReviewList:
    panel = window.panels["review"]
    assert isinstance(panel, ReviewList)
    return panel


def _with_brush(change: Callable[[Brush], Brush]) -> Callable[[Window], None]:
    """Change the brush, and take it into the hand."""

    def run(window: Window) -> None:
        editor = editor_of(window)
        editor.set_brush(change(editor.brush))

    return run


def _paint(window: Window) -> None:
    editor = editor_of(window)
    editor.set_painting(not editor.brush_in_hand)


def _hold(window: Window) -> None:
    """The matte of this frame over its stretch."""
    take, frame = window.session.take, window.session.frame
    span = next((s for s in take.spans if s.start <= frame < s.stop), None) if take else None
    if span is None:
        window.say("The playhead is in no stretch that is worth a look; N goes to one")
    else:
        editor_of(window).hold_matte(span.start, span.stop)


def _zoom_to_mouth(window: Window) -> None:
    rect = editor_of(window).face_rect()
    if rect is not None:
        window.viewer.zoom_to(rect)


def _onion(window: Window) -> None:
    editor = editor_of(window)
    editor.set_onion(0 if editor.onion else 1)


def _editable(window: Window) -> bool:
    return editor_of(window).document is not None


def _with_take(session: Session) -> bool:
    return session.take is not None


def _action(
    name: str, title: str, tip: str, run: Callable[[Window], object], *keys: str, new_group: bool = False
) -> ActionSpec:
    return ActionSpec(
        name=name,
        menu="&Matte",
        title=title,
        tip=tip,
        keys=keys,
        enabled=_with_take,
        possible=_editable,
        run=run,
        new_group=new_group,
    )


PANELS = (
    PanelSpec(
        name="matte",
        title="Matte",
        area="right",
        make=MatteDock,
        tip="Paint and shape the matte",
        keys=("Alt+5",),
        tab_with="redub",
    ),
    PanelSpec(
        name="review",
        title="Worth a look",
        area="right",
        make=review_list,
        tip="Where a take is unsure",
        keys=("Alt+6",),
    ),
)

ACTIONS = (
    _action("paint_matte", "&Paint", "Take the brush into the hand, or lay it down", _paint, "P"),
    _action(
        "swap_brush",
        "&Add or subtract",
        "The brush adds where it subtracted, and the other way round",
        _with_brush(lambda brush: brush.swapped()),
        "X",
    ),
    _action(
        "smooth_brush",
        "&Smooth",
        "The brush smooths, or adds again",
        _with_brush(lambda brush: replace(brush, kind="add" if brush.kind == "smooth" else "smooth")),
        "Shift+S",
    ),
    _action(
        "lasso",
        "&Lasso",
        "Draw round what shall be painted, or use the brush again",
        _with_brush(lambda brush: replace(brush, lasso=not brush.lasso)),
        "Shift+Q",
    ),
    _action("smaller_brush", "Smaller brush", "A smaller brush", _with_brush(lambda b: b.smaller()), "["),
    _action("larger_brush", "Larger brush", "A larger brush", _with_brush(lambda b: b.larger()), "]"),
    _action(
        "zoom_to_mouth",
        "&Zoom to the mouth",
        "Fill the viewer with the part of the face that is re-dubbed; Shift+Z shows all of it again",
        _zoom_to_mouth,
        "Z",
    ),
    _action(
        "copy_paint",
        "&Copy paint to the next frame",
        "What is painted on this frame alone, on the next one too",
        lambda window: editor_of(window).copy_to_next(),
        "Shift+C",
        new_group=True,
    ),
    _action(
        "remove_stroke",
        "&Remove the last stroke here",
        "Take away the stroke that was painted last of those that act on this frame",
        lambda window: editor_of(window).remove_last_stroke(),
        "Shift+Backspace",
    ),
    _action(
        "clear_paint",
        "Clear this frame's paint",
        "Take away what was painted on this frame alone",
        lambda window: editor_of(window).clear_frame(),
        "Ctrl+Shift+Backspace",
    ),
    _action(
        "hold_matte",
        "&Hold this frame's matte",
        "Use the automatic matte of this frame on its whole stretch",
        _hold,
        "Shift+H",
    ),
    _action(
        "fit_levels",
        "&Fit levels to this frame",
        "Low and high that suit this frame",
        lambda window: editor_of(window).fit_levels(),
        "Ctrl+Alt+F",
    ),
    _action(
        "next_map",
        "Next &map over the picture",
        "The uncertainty matte, σ, or coverage",
        lambda window: editor_of(window).next_map(),
        "Shift+U",
        new_group=True,
    ),
    _action(
        "next_colours",
        "Next colour ma&p",
        "Other colours for what is laid over the picture",
        lambda window: editor_of(window).next_colours(),
        "Alt+U",
    ),
    _action("onion_skin", "&Onion skin", "Outlines of the neighbours' mattes, or none", _onion, "Shift+K"),
    _action(
        "accept_stretch",
        "Acc&ept stretch",
        "The picture is good as it is on this stretch",
        lambda window: _review(window).decide("flag"),
        "Ctrl+1",
        new_group=True,
    ),
    _action(
        "hold_plate",
        "Hold &plate on stretch",
        "Keep the original mouth where the matte is white on this stretch",
        lambda window: _review(window).decide("hold_plate"),
        "Ctrl+2",
    ),
    _action(
        "hold_reference",
        "Hold re&ference on stretch",
        "Take the mouth of the surest frame where the matte is white on this stretch",
        lambda window: _review(window).decide("hold_reference"),
        "Ctrl+3",
    ),
    _action(
        "undecide",
        "Take decision back",
        "This stretch is undecided again",
        lambda window: _review(window).decide(None),
        "Ctrl+0",
    ),
    _action(
        "toggle_seen",
        "Looked at, or not",
        "Note that this stretch was looked at, or that it must be again",
        lambda window: _review(window).toggle_seen(),
        "Alt+N",
    ),
)
