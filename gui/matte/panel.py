"""The panel of the matte tools."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.matte.brush import LEAST_PX, MOST_PX, Brush
from gui.matte.colours import COLOUR_MAPS
from gui.matte.curves import CurveView
from gui.matte.levels import LevelsView
from gui.matte.work import MAP_KINDS
from gui.widgets.building import named
from gui.widgets.sliders import NumberRow
from julnet_plugin.matte import edits
from julnet_plugin.matte.settings import PARAMETERS

if TYPE_CHECKING:
    from gui.matte.editor import MatteEditor
    from gui.session import Session

NO_TAKE = "Open a take to shape and paint its uncertainty matte."
NO_DATA = "This take's data/ is gone: its matte can be looked at, but not shaped. Render it again to edit it."
_KINDS = (("add", "Add"), ("subtract", "Subtract"), ("smooth", "Smooth"))
_REACH = (("frame", "This frame"), ("stretch", "This stretch"), ("shot", "The whole shot"))
_DRIVES = (("flag", "Only flags"), ("hold_plate", "Holds the plate"), ("hold_reference", "Holds a reference"))
#: What can be keyframed, with the slider's span; the field takes all that the chain does.
_SHAPE: tuple[tuple[str, str, tuple[float, float]], ...] = (
    ("grow_px", "Grow", (-30, 30)),
    ("refine", "Hug edges", (0, 1)),
    ("blur_px", "Blur", (0, 30)),
    ("temporal_frames", "Temporal", (0, 12)),
)
_CURVES = ("low_cv", "high_cv", "gamma", *(name for name, _, _ in _SHAPE))


class MattePanel(QWidget):
    """Brush, levels, shape, keyframes, and how the matte is shown; every change goes to the editor."""

    def __init__(self, editor: MatteEditor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editor = editor
        self._selected = "blur_px"
        self._rows: dict[str, tuple[NumberRow, QToolButton]] = {}
        self._build_brush()
        self._build_levels()
        self._build_shape()
        self._build_view()
        self._arrange()
        self._connect()
        editor.changed.connect(self.refresh)
        self.refresh()

    def set_session(self, session: Session) -> None:
        """Follow what the window shows."""
        self._editor.set_session(session)

    def refresh(self) -> None:
        """Show what the editor holds."""
        document, editor = self._editor.document, self._editor
        self.note.setVisible(document is None)
        self.note.setText(NO_DATA if editor.session.take is not None and editor.without_data else NO_TAKE)
        self.body.setEnabled(document is not None)
        with QSignalBlocker(self.paint):
            self.paint.setChecked(editor.brush_in_hand)
        self._show_brush(editor.brush)
        if document is None:
            return
        values = document.settings.at(editor.frame)
        automatic = document.settings.levels == "auto"
        low, high = values["low_cv"], values["high_cv"]
        self.levels.set_levels(low, high, values["gamma"])
        self.levels.setEnabled(not automatic)
        with QSignalBlocker(self.automatic):
            self.automatic.setChecked(automatic)
        if editor.prepared is not None:
            self.levels.set_histogram(editor.prepared.histogram)
        for name, (row, key) in self._rows.items():
            row.set_value(values[name])
            curve = document.settings.curve(name)
            key.setChecked(any(k.frame == editor.frame for k in curve.keys))
            key.setText("◆" if curve.keys else "◇")
        self._show_curve()
        with QSignalBlocker(self.drive), QSignalBlocker(self.kind), QSignalBlocker(self.colours):
            self.drive.setCurrentIndex(self.drive.findData(document.drive.mode))
            self.kind.setCurrentIndex(self.kind.findData(editor.overlay.kind))
            self.colours.setCurrentText(editor.overlay.colour_map)
        with QSignalBlocker(self.onion):
            self.onion.setValue(editor.onion)

    def _show_brush(self, brush: Brush) -> None:
        self._kind_buttons[brush.kind].setChecked(True)
        (self.lasso if brush.lasso else self.round).setChecked(True)
        self.brush_size.set_value(brush.size_px)
        self.hardness.set_value(100 * brush.hardness)
        self.opacity.set_value(100 * brush.opacity)
        self.brush_size.setEnabled(not brush.lasso)
        with QSignalBlocker(self.reach), QSignalBlocker(self.fade), QSignalBlocker(self.pressure):
            self.reach.setCurrentIndex(self.reach.findData(brush.reach))
            self.fade.setValue(brush.fade)
            self.fade.setEnabled(brush.reach != "frame")
            self.pressure.setChecked(brush.pressure)

    def _show_curve(self) -> None:
        document, work = self._editor.document, self._editor.work
        if document is None or work is None:
            return
        parameter = PARAMETERS[self._selected]
        curve = document.settings.curve(self._selected)
        self.curve.set_curve(curve, work.frames, self._editor.frame, parameter.low, parameter.high)
        with QSignalBlocker(self.which):
            self.which.setCurrentIndex(self.which.findData(self._selected))

    # Building

    def _build_brush(self) -> None:
        self.paint = QPushButton("Paint")
        self.paint.setCheckable(True)
        self.paint.setToolTip("Take the brush, or lay it down (P)")
        self._kind_group = QButtonGroup(self)
        self._kind_buttons: dict[str, QToolButton] = {}
        for kind, title in _KINDS:
            button = _choice(title, f"The brush shall {title.lower()} (X swaps add and subtract)")
            self._kind_group.addButton(button)
            self._kind_buttons[kind] = button
        self._form_group = QButtonGroup(self)
        self.round = _choice("Brush", "Paint with a round brush")
        self.lasso = _choice("Lasso", "Draw round what shall be painted (Shift+Q)")
        for button in (self.round, self.lasso):
            self._form_group.addButton(button)
        self.brush_size = NumberRow(
            "Size", LEAST_PX, MOST_PX, soft=(LEAST_PX, 200), decimals=0, curved=True, suffix=" px"
        )
        self.brush_size.setToolTip("Diameter in pixels of the face's crop: [ and ], or drag with the right button")
        self.hardness = NumberRow("Hardness", 0, 100, decimals=0, suffix=" %")
        self.opacity = NumberRow("Opacity", 0, 100, decimals=0, suffix=" %")
        self.reach = _combo(_REACH, "How long a new stroke lasts; it rides on the face for that long")
        self.fade = QSpinBox(minimum=0, maximum=100, suffix=" fr")
        self.fade.setToolTip("Frames over which a stroke that lasts comes and goes")
        self.fade.setAccessibleName("Fade")
        self.pressure = QCheckBox("Pen pressure sets the width")

    def _build_levels(self) -> None:
        self.levels = LevelsView()
        self.automatic = QCheckBox("From each shot's own σ")
        self.automatic.setToolTip("Low and high from the 60th and 99th percentile of each shot")
        self.suggest = QPushButton("Fit this frame")
        self.suggest.setToolTip("Low and high that suit this frame")

    def _build_shape(self) -> None:
        for name, title, soft in _SHAPE:
            known = PARAMETERS[name]
            decimals = 2 if known.high <= 1 else 1
            row = NumberRow(title, known.low, known.high, soft=soft, decimals=decimals, tip=known.help.capitalize())
            key = named(QToolButton(), "key")
            key.setText("◇")
            key.setCheckable(True)
            key.setAutoRaise(True)
            key.setFixedWidth(26)
            key.setToolTip("Keyframe here, or not")
            key.setAccessibleName(f"Keyframe of {title}")
            row.grid.addWidget(key, 0, 3)
            self._rows[name] = (row, key)
        self.which = QComboBox()
        self.which.setToolTip("Whose keyframes are shown")
        self.which.setAccessibleName("Curve of")
        for name in _CURVES:
            self.which.addItem(_title(name), name)
        self.curve = CurveView()

    def _build_view(self) -> None:
        self.kind = _combo(tuple(MAP_KINDS.items()), "What is laid over the picture")
        self.colours = QComboBox()
        self.colours.addItems(list(COLOUR_MAPS))
        self.colours.setToolTip("Its colours")
        self.colours.setAccessibleName("Colour map")
        self.onion = QSpinBox(minimum=0, maximum=5, suffix=" fr")
        self.onion.setToolTip("Outlines of the frames before (blue) and after (green), this many on each side")
        self.onion.setAccessibleName("Onion skin")
        self.drive = _combo(_DRIVES, "What the matte does to the picture, where no stretch says otherwise")

    def _arrange(self) -> None:
        self.note = named(QLabel(NO_TAKE, wordWrap=True), "quiet")
        self.body = QWidget()
        column = QVBoxLayout(self.body)
        column.setContentsMargins(14, 10, 14, 14)
        column.setSpacing(6)
        tools = QHBoxLayout()
        tools.setSpacing(1)
        tools.addWidget(self.round)
        tools.addWidget(self.lasso)
        tools.addStretch()
        tools.addWidget(self.paint)
        kinds = QHBoxLayout()
        kinds.setSpacing(1)
        for button in self._kind_buttons.values():
            kinds.addWidget(button, 1)
        column.addLayout(tools)
        column.addLayout(kinds)
        for number in (self.brush_size, self.hardness, self.opacity):
            column.addWidget(number)
        column.addLayout(_labelled("Lasts", self.reach, self.fade))
        column.addWidget(self.pressure)
        column.addWidget(_heading("Levels"))
        column.addWidget(self.levels)
        levels = QHBoxLayout()
        levels.addWidget(self.automatic, 1)
        levels.addWidget(self.suggest)
        column.addLayout(levels)
        column.addWidget(_heading("Shape"))
        for row, _ in self._rows.values():
            column.addWidget(row)
        column.addWidget(_heading("Keyframes"))
        column.addWidget(self.which)
        column.addWidget(self.curve)
        column.addWidget(_heading("On the picture"))
        column.addLayout(_labelled("Overlay", self.kind, self.colours))
        column.addLayout(_labelled("Onion skin", self.onion))
        column.addLayout(_labelled("The matte", self.drive))
        column.addStretch()
        scroll = QScrollArea(widgetResizable=True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.body)
        self.body.setObjectName("panel")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.note.setContentsMargins(14, 12, 14, 0)
        outer.addWidget(self.note)
        outer.addWidget(scroll, 1)
        self.setMinimumWidth(290)

    def _connect(self) -> None:
        editor = self._editor
        self.paint.toggled.connect(editor.set_painting)
        for kind, button in self._kind_buttons.items():
            button.clicked.connect(lambda _=False, kind=kind: self._brush(kind=kind))
        self.round.clicked.connect(lambda: self._brush(lasso=False))
        self.lasso.clicked.connect(lambda: self._brush(lasso=True))
        self.brush_size.changed.connect(lambda value: editor.set_brush(editor.brush.resized(value)))
        self.hardness.changed.connect(lambda value: self._brush(hardness=value / 100))
        self.opacity.changed.connect(lambda value: self._brush(opacity=value / 100))
        self.reach.activated.connect(lambda: self._brush(reach=self.reach.currentData()))
        self.fade.valueChanged.connect(lambda value: self._brush(fade=value))
        self.pressure.toggled.connect(lambda on: self._brush(pressure=on))
        self.levels.low_moved.connect(lambda value: editor.set_value("low_cv", value))
        self.levels.high_moved.connect(lambda value: editor.set_value("high_cv", value))
        self.levels.gamma_moved.connect(lambda value: editor.set_value("gamma", value))
        self.levels.settled.connect(editor.seal)
        self.automatic.toggled.connect(lambda on: editor.set_levels("auto" if on else "manual"))
        self.suggest.clicked.connect(editor.fit_levels)
        for name, (row, key) in self._rows.items():
            row.changed.connect(lambda value, name=name: self._set(name, value))
            row.settled.connect(editor.seal)
            key.clicked.connect(lambda _=False, name=name: self._key(name))
        self.which.activated.connect(lambda: self._select(self.which.currentData()))
        self.curve.moved.connect(lambda frame, key: editor.move_key(self._selected, frame, key, ("key", id(self))))
        self.curve.settled.connect(editor.seal)
        self.curve.added.connect(lambda key: editor.edit("Add key", lambda d: edits.set_key(d, self._selected, key)))
        self.curve.removed.connect(
            lambda frame: editor.edit("Remove key", lambda d: edits.remove_key(d, self._selected, frame))
        )
        self.kind.activated.connect(lambda: editor.show_map(self.kind.currentData()))
        self.colours.textActivated.connect(editor.set_colour_map)
        self.onion.valueChanged.connect(editor.set_onion)
        self.drive.activated.connect(lambda: editor.set_drive(self.drive.currentData()))

    def _brush(self, **changes: object) -> None:
        self._editor.set_brush(replace(self._editor.brush, **changes))  # type: ignore[arg-type]

    def _set(self, name: str, value: float) -> None:
        self._selected = name
        self._editor.set_value(name, value)

    def _key(self, name: str) -> None:
        self._selected = name
        self._editor.toggle_key(name)

    def _select(self, name: str) -> None:
        self._selected = name
        self._show_curve()


def _title(name: str) -> str:
    titles = {"low_cv": "Low", "high_cv": "High", "gamma": "Gamma", **{n: title for n, title, _ in _SHAPE}}
    return titles[name]


def _heading(text: str) -> QLabel:
    label = named(QLabel(text), "heading")
    label.setContentsMargins(0, 10, 0, 0)
    return label


def _choice(title: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(title)
    button.setCheckable(True)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.setSizePolicy(button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed)
    return button


def _combo(items: tuple[tuple[str, str], ...], tip: str) -> QComboBox:
    box = QComboBox()
    for data, title in items:
        box.addItem(title, data)
    box.setToolTip(tip)
    box.setAccessibleName(tip)
    return box


def _labelled(title: str, *widgets: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    line.setSpacing(6)
    label = QLabel(title)
    label.setFixedWidth(74)
    line.addWidget(label)
    for number, widget in enumerate(widgets):
        line.addWidget(widget, 1 if number == 0 else 0)
    return line
