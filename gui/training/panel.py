"""Make a model of a person: which clips, how long, and how it is getting on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.training.process import Training
from gui.training.watching import Seen, look
from gui.widgets.building import named, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gui.background import Background
    from gui.redub.models import ModelEntry

STAGES = {
    "prepare": "Reading the clips",
    "track": "Following the face",
    "train": "Learning",
    "scoring": "Judging on seconds that it never saw",
}
_LOOK_MS = 1500
_EMPTY = "Movies of the bin that have sound are listed here: import shots in which the person speaks"
_CONSENT = "Make models only of people who have agreed to it."


class CurvePlot(QWidget):
    """One curve of a run over its steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: list[tuple[float, float]] = []
        self._name = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Curve")

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(240, 110)

    def show_curve(self, name: str, points: list[tuple[float, float]]) -> None:
        """Show another curve."""
        self._name, self._points = name, points
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.FIELD)
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        painter.setPen(theme.QUIET)
        box = QRectF(self.rect()).adjusted(8, 20, -8, -8)
        if not self._points:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "Curves appear as it learns")
            return
        values = [value for _, value in self._points]
        low, high = min(values), max(values)
        first, last = self._points[0][0], self._points[-1][0]
        painter.drawText(QPointF(8, 14), f"{self._name}   {values[-1]:.4g}   (step {last:.0f})")
        line = QPolygonF()
        for step, value in self._points:
            x = box.left() + box.width() * (step - first) / max(last - first, 1)
            y = box.bottom() - box.height() * (value - low) / max(high - low, 1e-12)
            line.append(QPointF(x, y))
        painter.setPen(QPen(QColor(theme.ACCENT), 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(line)


class TrainingPanel(QWidget):
    """The form and the view of one training.

    Signals:
        made(Path): there is a new model.
    """

    made = Signal(object)

    def __init__(self, training: Training, background: Background, models: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.training, self._background, self._models = training, background, models
        self._model: Path | None = None
        self._looking = False
        self.clips = QListWidget()
        self.clips.setMaximumHeight(120)
        self.clips.setAccessibleName("Clips to learn from")
        self.empty = named(QLabel(_EMPTY, wordWrap=True), "quiet")
        self.name = QLineEdit(placeholderText="whose mouth it is")
        self.minutes = QDoubleSpinBox(minimum=0.5, maximum=1440, value=30, decimals=1, suffix=" min")
        self.base = QComboBox()
        self.start_button = named(QPushButton("Make a model"), "primary")
        self.stop_button = QPushButton("Stop")
        self.bar = QProgressBar(textVisible=False)
        self.said = named(QLabel(_CONSENT, wordWrap=True), "quiet")
        self.which = QComboBox()
        self.plot = CurvePlot()
        self.sample = QLabel()
        self._seen = Seen()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._arrange()
        self._connect()
        self._update()

    def set_clips(self, clips: Sequence[tuple[str, Path]]) -> None:
        """What can be learnt from: names and files. What was chosen stays chosen."""
        known = {
            self.clips.item(k).data(Qt.ItemDataRole.UserRole): self.clips.item(k) for k in range(self.clips.count())
        }
        if [str(path) for _, path in clips] == list(known):
            return
        checked = {path for path, item in known.items() if item.checkState() is Qt.CheckState.Checked}
        self.clips.clear()
        for name, path in clips:
            item = QListWidgetItem(name)
            item.setData(Qt.ItemDataRole.UserRole, str(path))
            item.setToolTip(str(path))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if str(path) in checked else Qt.CheckState.Unchecked)
            self.clips.addItem(item)
        self.empty.setVisible(not clips)
        self._update()

    def set_models(self, models: Sequence[ModelEntry]) -> None:
        """What it can start from."""
        self.base.clear()
        for entry in models:
            self.base.addItem(entry.title, entry.name)

    def chosen(self) -> list[Path]:
        """The clips that are ticked."""
        items = [self.clips.item(k) for k in range(self.clips.count())]
        ticked = [item for item in items if item.checkState() is Qt.CheckState.Checked]
        return [Path(str(item.data(Qt.ItemDataRole.UserRole))) for item in ticked]

    def start(self) -> None:
        """Begin, or go on."""
        stem = re.sub(r"[^\w-]+", "_", self.name.text().strip()) or "model"
        self._model = self._models / f"{stem}.safetensors"
        self._models.mkdir(parents=True, exist_ok=True)
        self._say("Starting…")
        self.bar.setRange(0, 0)
        self.training.start(self.chosen(), self._model, self.minutes.value(), self.base.currentData() or "rt")
        self._timer.start()
        self._update()

    def _progressed(self, stage: str, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        share = f" · {100 * done // max(total, 1)} %"
        self._say(STAGES.get(stage, stage.capitalize()) + share)

    def _finished(self, result: dict[str, dict[str, float]]) -> None:
        before, after = result.get("before", {}), result.get("after", {})
        gain = ""
        if "psnr" in before and "psnr" in after:
            gain = f": {before['psnr']:.2f} dB before, {after['psnr']:.2f} dB after, on seconds that it never saw"
        self._end(f"Done{gain}. It is in the list of models now.")
        if self._model is not None:
            self.made.emit(self._model)

    def _failed(self, sentence: str, details: str) -> None:
        self._end(sentence, error=True)
        self.said.setToolTip(details[-4000:])

    def _end(self, sentence: str, *, error: bool = False) -> None:
        self._timer.stop()
        self._look()
        self._say(sentence, error=error)
        self._update()

    def _look(self) -> None:
        if self._model is not None and not self._looking:
            model, self._looking = self._model, True
            self._background.run(lambda: look(model), self._show, lambda _: self._show(self._seen))

    def _show(self, seen: Seen) -> None:
        self._looking, self._seen = False, seen
        names = sorted(seen.curves, key=lambda name: (not name.startswith("val"), name))
        if names != [self.which.itemText(k) for k in range(self.which.count())]:
            before = self.which.currentText()
            self.which.clear()
            self.which.addItems(names)
            self.which.setCurrentText(before if before in names else (names[0] if names else ""))
        self._show_curve()
        if seen.sample is not None:
            picture = QPixmap(str(seen.sample))
            if not picture.isNull():
                wide = max(self.width() - 28, 200)
                self.sample.setPixmap(picture.scaledToWidth(wide, Qt.TransformationMode.SmoothTransformation))

    def _show_curve(self) -> None:
        name = self.which.currentText()
        self.plot.show_curve(name, self._seen.curves.get(name, []))

    def _say(self, sentence: str, *, error: bool = False) -> None:
        self.said.setObjectName("error" if error else "quiet")
        self.said.style().polish(self.said)
        self.said.setToolTip("")
        self.said.setText(sentence)

    def _update(self) -> None:
        running = self.training.running
        self.start_button.setEnabled(not running and bool(self.chosen()) and bool(self.name.text().strip()))
        self.stop_button.setEnabled(running)
        self.bar.setVisible(running)
        for widget in (self.clips, self.name, self.minutes, self.base):
            widget.setEnabled(not running)

    def _connect(self) -> None:
        self.clips.itemChanged.connect(lambda _: self._update())
        self.name.textChanged.connect(lambda _: self._update())
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.training.stop)
        self.which.activated.connect(lambda _: self._show_curve())
        self.training.progressed.connect(self._progressed)
        self.training.finished.connect(self._finished)
        self.training.failed.connect(self._failed)
        self.training.stopped.connect(lambda: self._end("Stopped; what it has learnt is kept, the same name goes on"))

    def _arrange(self) -> None:
        self.sample.setAccessibleName("What it draws now: truth, drawn, error, predicted error, σ")
        self.sample.setToolTip(self.sample.accessibleName())
        names = {self.name: "Name of the model", self.minutes: "Time budget", self.base: "Starts from"}
        for widget, name in names.items():
            widget.setAccessibleName(name)
        self.minutes.setToolTip("For everything: reading, learning and judging")
        form = QFormLayout(verticalSpacing=7, horizontalSpacing=10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Name", self.name)
        form.addRow("Time", self.minutes)
        form.addRow("Start from", self.base)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 12)
        column.setSpacing(7)
        column.addWidget(named(QLabel("Clips of the person, speaking"), "heading"))
        column.addWidget(self.empty)
        column.addWidget(self.clips)
        column.addLayout(form)
        column.addLayout(row(self.start_button, self.stop_button))
        column.addWidget(self.bar)
        column.addWidget(self.said)
        column.addWidget(self.which)
        column.addWidget(self.plot)
        column.addWidget(self.sample)
        column.addStretch()
