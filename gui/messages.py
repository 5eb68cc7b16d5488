"""What the user was told: a sentence at a time in the status bar, its details for whoever asks, and the list of all."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QMessageBox,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
)

from gui.background import Told
from gui.widgets.building import named

if TYPE_CHECKING:
    from gui.window import Window

_KEPT = 300


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, and what stands behind it."""

    at: str  #: time of day
    sentence: str
    details: str = ""


class Messages(QObject):
    """Shows the newest sentence and remembers the others.

    Signals:
        told(Message): something was said.
    """

    told = Signal(object)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.all: deque[Message] = deque(maxlen=_KEPT)
        self.button = named(QToolButton(), "small")
        self.button.setText("Show details")
        self.button.setToolTip("What stands behind the sentence on the left")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.clicked.connect(self.show_details)
        self.button.setMaximumHeight(window.statusBar().sizeHint().height())  # it may not make the bar higher
        self.button.hide()
        window.statusBar().addPermanentWidget(self.button)

    def say(self, sentence: str, details: str = "") -> None:
        """Tell the user something.

        Args:
            sentence: one; a `Told` brings its details along.
            details: what else is known, for whoever asks.
        """
        if not details and isinstance(sentence, Told):
            details = sentence.details
        message = Message(time.strftime("%H:%M:%S"), str(sentence), details)
        self._window.statusBar().showMessage(message.sentence)
        self.button.setVisible(bool(details.strip()))
        if sentence:
            self.all.append(message)
            self.told.emit(message)

    def show_details(self) -> None:
        """What stands behind the newest sentence."""
        if self.all:
            show_details(self.all[-1], self._window)

    def show_all(self) -> None:
        """Everything that was said since the start; a double click shows details."""
        dialog = QDialog(self._window)
        dialog.setWindowTitle("Messages")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        newest_first = list(reversed(self.all))
        listed = QListWidget()
        listed.setAccessibleName("Messages")
        listed.addItems([f"{m.at}   {m.sentence}{'   (details)' if m.details else ''}" for m in newest_first])
        behind = QPlainTextEdit(readOnly=True)
        behind.setAccessibleName("Details")
        behind.setPlaceholderText("Choose a message to see its details")
        listed.currentRowChanged.connect(lambda row: behind.setPlainText(newest_first[row].details if row >= 0 else ""))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(dialog.reject)
        column = QVBoxLayout(dialog)
        column.addWidget(listed, 3)
        column.addWidget(behind, 2)
        column.addWidget(buttons)
        dialog.resize(760, 520)
        dialog.open()


def show_details(message: Message, window: Window) -> None:
    """One message with all that is known of it."""
    box = QMessageBox(window)
    box.setWindowTitle("Details")
    box.setText(message.sentence)
    box.setDetailedText(message.details)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
