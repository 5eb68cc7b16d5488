"""The editor's one look: dark and neutral, so that it does not colour the picture that is judged in it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

WINDOW = QColor(30, 30, 31)
PANEL = QColor(38, 38, 40)
FIELD = QColor(24, 24, 25)
LINE = QColor(58, 58, 61)
TEXT = QColor(222, 222, 224)
QUIET = QColor(146, 146, 151)
ACCENT = QColor(92, 148, 232)
WARM = QColor(236, 110, 70)  #: uncertainty
PLAYHEAD = QColor(240, 96, 84)
BLACK = QColor(12, 12, 12)

_SHEET = f"""
QWidget {{ font-size: 13px; }}
QMenuBar {{ background: {WINDOW.name()}; padding: 2px 4px; }}
QMenuBar::item {{ padding: 4px 9px; border-radius: 4px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {LINE.name()}; }}
QMenu {{ background: {PANEL.name()}; border: 1px solid {LINE.name()}; padding: 4px; }}
QMenu::item {{ padding: 5px 26px 5px 22px; border-radius: 4px; }}
QMenu::item:disabled {{ color: {QUIET.darker(130).name()}; }}
QMenu::separator {{ height: 1px; background: {LINE.name()}; margin: 4px 8px; }}
QStatusBar {{ color: {QUIET.name()}; }}
QStatusBar::item {{ border: none; }}
QLineEdit {{
    background: {FIELD.name()}; border: 1px solid {LINE.name()}; border-radius: 4px; padding: 4px 6px; min-height: 18px;
}}
QLineEdit:focus {{ border-color: {ACCENT.name()}; }}
QAbstractSpinBox {{ min-height: 26px; }}
QAbstractSpinBox QLineEdit {{ background: transparent; border: none; padding: 0 4px; min-height: 0; }}
QLineEdit:read-only {{ color: {QUIET.name()}; }}
QPushButton, QToolButton {{
    background: {PANEL.lighter(125).name()}; border: 1px solid {LINE.name()}; border-radius: 4px; padding: 5px 12px;
}}
QFileDialog QToolButton {{ padding: 3px; }}
QToolButton#small {{ padding: 3px 8px; }}
QToolButton#thumbnail {{ padding: 1px; font-size: 11px; color: {QUIET.name()}; }}
QToolButton#key {{ padding: 2px 0; min-width: 22px; border: none; background: transparent; }}
QToolButton#key:checked {{ color: {WARM.name()}; background: transparent; }}
QPushButton:hover, QToolButton:hover {{ background: {LINE.name()}; }}
QPushButton:pressed, QPushButton:checked, QToolButton:checked {{ background: {ACCENT.darker(150).name()}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {QUIET.darker(140).name()}; background: {PANEL.name()}; }}
QPushButton#primary:enabled {{ background: {ACCENT.darker(130).name()}; border-color: {ACCENT.name()}; color: white; }}
QPushButton#primary:enabled:hover {{ background: {ACCENT.darker(115).name()}; }}
QListWidget {{ background: {PANEL.name()}; border: none; outline: none; }}
QListWidget::item {{ padding: 6px 8px; border-radius: 4px; margin-bottom: 2px; background: {WINDOW.name()}; }}
QListWidget::item:hover {{ background: {LINE.name()}; }}
QListWidget::item:selected {{ background: {ACCENT.darker(170).name()}; color: white; }}
QProgressBar {{ background: {FIELD.name()}; border: none; border-radius: 3px; max-height: 6px; }}
QProgressBar::chunk {{ background: {ACCENT.name()}; border-radius: 3px; }}
QToolButton#transport {{ padding: 4px 5px; background: transparent; border: none; border-radius: 4px; }}
QToolButton#transport:hover {{ background: {LINE.name()}; }}
QToolButton#transport:checked {{ background: {ACCENT.darker(170).name()}; }}
#card {{ background: {PANEL.name()}; border: 1px solid {LINE.name()}; border-radius: 8px; }}
#title {{ font-size: 20px; font-weight: 600; }}
QPushButton#recent {{ background: transparent; border: none; color: {QUIET.name()}; text-align: left; padding: 3px; }}
QPushButton#recent:hover {{ color: {TEXT.name()}; }}
QLineEdit#timecode {{ background: transparent; border: 1px solid transparent; padding: 1px 3px; }}
QLineEdit#timecode:hover {{ border-color: {LINE.name()}; }}
QLineEdit#timecode:focus {{ background: {FIELD.name()}; border-color: {ACCENT.name()}; }}
#head {{ background: {PANEL.name()}; }}
QToolButton#switch {{ padding: 0; min-width: 20px; max-width: 20px; min-height: 20px; max-height: 20px; font-size: 11px;
    background: {FIELD.name()}; color: {QUIET.name()}; }}
QToolButton#switch:checked {{ background: {WARM.darker(140).name()}; color: white; }}
QToolButton#tool {{ padding: 4px 9px; background: transparent; border: 1px solid transparent; color: {QUIET.name()}; }}
QToolButton#tool:hover {{ background: {LINE.name()}; color: {TEXT.name()}; }}
QToolButton#tool:checked {{ background: {ACCENT.darker(170).name()}; color: white; }}
#bar {{ background: {PANEL.name()}; }}
QToolButton#tab {{ background: transparent; border: none; padding: 4px 10px; color: {QUIET.name()}; }}
QToolButton#tab:hover {{ color: {TEXT.name()}; }}
QToolButton#tab:checked {{ background: {LINE.name()}; color: {TEXT.name()}; }}
QDockWidget {{ color: {QUIET.name()}; }}
QDockWidget::title {{ background: {PANEL.darker(108).name()}; padding: 5px 8px; }}
QMainWindow::separator {{ background: {FIELD.name()}; width: 3px; height: 3px; }}
QMainWindow::separator:hover {{ background: {ACCENT.darker(130).name()}; }}
QTabBar::tab {{ background: {FIELD.name()}; color: {QUIET.name()}; padding: 5px 12px; border: none; }}
QTabBar::tab:selected {{ background: {PANEL.name()}; color: {TEXT.name()}; }}
QHeaderView::section {{ background: {PANEL.name()}; color: {QUIET.name()}; border: none; padding: 4px 6px; }}
QTreeView {{ background: {FIELD.name()}; border: none; outline: none; alternate-background-color: {WINDOW.name()}; }}
QTreeView::item {{ padding: 3px 2px; }}
QTreeView::item:selected {{ background: {ACCENT.darker(170).name()}; color: white; }}
QScrollBar:horizontal {{ background: {FIELD.name()}; height: 11px; }}
QScrollBar:vertical {{ background: {FIELD.name()}; width: 11px; }}
QScrollBar::handle {{ background: {LINE.lighter(115).name()}; border-radius: 4px; margin: 2px; min-width: 24px;
    min-height: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
#panel {{ background: {PANEL.name()}; }}
#heading {{ font-size: 14px; font-weight: 600; }}
#quiet {{ color: {QUIET.name()}; }}
#error {{ color: {WARM.lighter(120).name()}; }}
#timecode {{ font-family: monospace; font-size: 17px; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QToolTip {{ background: {PANEL.name()}; color: {TEXT.name()}; border: 1px solid {LINE.name()}; padding: 3px; }}
"""


def apply(application: QApplication) -> None:
    """Dress the application."""
    application.styleHints().setColorScheme(Qt.ColorScheme.Dark)
    application.setStyle("Fusion")
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: WINDOW,
        QPalette.ColorRole.WindowText: TEXT,
        QPalette.ColorRole.Base: FIELD,
        QPalette.ColorRole.AlternateBase: PANEL,
        QPalette.ColorRole.Text: TEXT,
        QPalette.ColorRole.Button: PANEL,
        QPalette.ColorRole.ButtonText: TEXT,
        QPalette.ColorRole.Highlight: ACCENT,
        QPalette.ColorRole.HighlightedText: QColor("white"),
        QPalette.ColorRole.PlaceholderText: QUIET,
        QPalette.ColorRole.ToolTipBase: PANEL,
        QPalette.ColorRole.ToolTipText: TEXT,
    }
    for role, colour in roles.items():
        palette.setColor(role, colour)
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QUIET.darker(135))
    palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, LINE)
    application.setPalette(palette)
    application.setStyleSheet(_SHEET)
