"""A number as a slider and a field beside one another, in one row with its name."""

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSlider, QWidget

_STEPS = 1000


class NumberRow(QWidget):
    """One number.

    The slider spans `soft` and the field everything from `low` to `high`.

    Signals:
        changed(float): the user wants this value; a drag says many.
        settled(): the drag has ended.
    """

    changed = Signal(float)
    settled = Signal()

    def __init__(
        self,
        title: str,
        low: float,
        high: float,
        *,
        soft: tuple[float, float] | None = None,
        decimals: int = 1,
        suffix: str = "",
        tip: str = "",
        curved: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._soft = soft or (low, high)
        self._power = 2.2 if curved else 1.0  # small numbers get more of the slider
        self.title = QLabel(title)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.field = QDoubleSpinBox(minimum=low, maximum=high, decimals=decimals, suffix=suffix)
        self.field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.field.setKeyboardTracking(False)
        self.field.setFixedWidth(66)
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        for widget in (self.slider, self.field):
            widget.setAccessibleName(title)
            widget.setToolTip(tip)
        self.title.setToolTip(tip)
        self.title.setFixedWidth(74)
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(6)
        self.grid.addWidget(self.title, 0, 0)
        self.grid.addWidget(self.slider, 0, 1)
        self.grid.addWidget(self.field, 0, 2)
        self.slider.valueChanged.connect(lambda step: self.changed.emit(self._value_of(step)))
        self.slider.sliderReleased.connect(self.settled)
        self.field.valueChanged.connect(self.changed)
        self.field.editingFinished.connect(self.settled)

    def set_value(self, value: float) -> None:
        """Show a value; says nothing."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.field):
            if not self.slider.isSliderDown():
                self.slider.setValue(self._step_of(value))
            if not self.field.hasFocus() or abs(self.field.value() - value) > 1e-9:
                self.field.setValue(value)

    def value(self) -> float:
        """What is shown."""
        return self.field.value()

    def _value_of(self, step: int) -> float:
        low, high = self._soft
        return low + (high - low) * math.pow(step / _STEPS, self._power)

    def _step_of(self, value: float) -> int:
        low, high = self._soft
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(_STEPS * math.pow(share, 1 / self._power))
