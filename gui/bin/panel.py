"""The media bin: a table with columns and a search, media to drag from it, files to drop on it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QIcon, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QLineEdit, QMenu, QTreeView, QVBoxLayout, QWidget

from gui import theme
from gui.timeline.view import MEDIA_MIME
from gui.widgets.building import named
from host_adapters.standalone.project import BinItem, Project, remove_item
from julnet_plugin.media.timecode import Timecode, allows_drop_frame, rate_text

if TYPE_CHECKING:
    from pathlib import Path

    from gui.window import Window

EMPTY = "Drop movies, image sequences and recordings here, or import them with Ctrl+I."
COLUMNS = ("Name", "Length", "Rate", "Size", "Start", "Codec", "Sound", "Path")
Index = QModelIndex | QPersistentModelIndex


class BinModel(QAbstractTableModel):
    """The project's media as a table."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window
        self.items: tuple[BinItem, ...] = ()
        self.missing: frozenset[str] = frozenset()
        self._icons: dict[str, QIcon] = {}

    def set_items(self, items: tuple[BinItem, ...]) -> None:
        """Show other media."""
        if items != self.items:
            self.beginResetModel()
            self.items = items
            self.endResetModel()

    def refresh(self) -> None:
        """Pictures have come, or files are missing."""
        self._icons.clear()
        if self.items:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.items) - 1, len(COLUMNS) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: D102, B008
        return 0 if parent.isValid() else len(self.items)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: D102, B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: D102
        if role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: Index, role: int = 0) -> Any:  # noqa: D102
        item = self.items[index.row()]
        gone = item.media.path in self.missing
        if role == Qt.ItemDataRole.DisplayRole:
            text = cells(item)[index.column()]
            return f"{text}  (missing)" if gone and index.column() == 0 else text
        if role == Qt.ItemDataRole.ForegroundRole and gone:
            return theme.WARM
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{item.media.path}{' is missing; File, Relink media… finds it' if gone else ''}"
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._icon(item)
        if role == Qt.ItemDataRole.UserRole:
            return item.id
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        return Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsDragEnabled

    def mimeTypes(self) -> list[str]:  # noqa: D102
        return [MEDIA_MIME]

    def mimeData(self, indexes: Any) -> QMimeData:  # noqa: D102
        data = QMimeData()
        names = dict.fromkeys(self.items[index.row()].id for index in indexes)
        data.setData(MEDIA_MIME, "\n".join(names).encode())
        return data

    def _icon(self, item: BinItem) -> QIcon | None:
        if item.id in self._icons:
            return self._icons[item.id]
        if item.kind != "video" or item.media.path in self.missing or "timeline" not in self._window.panels:
            return None
        from gui import timeline

        path: Path = self._window.project.path_of(item.media.path)
        image = timeline.of(self._window).thumbnails.picture(path, item.media.frame_count // 2)
        if image is None:
            return None
        self._icons[item.id] = QIcon(QPixmap.fromImage(image))
        return self._icons[item.id]


class BinView(QTreeView):
    """The table; files can be dropped on it."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102
        from pathlib import Path

        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self._window.import_media(paths)


class BinPanel(QWidget):
    """The bin with its search."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._window = window
        self.model = BinModel(window)
        self._sorted = QSortFilterProxyModel()
        self._sorted.setSourceModel(self.model)
        self._sorted.setFilterKeyColumn(-1)
        self._sorted.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.search = QLineEdit(placeholderText="Search", clearButtonEnabled=True)
        self.search.setAccessibleName("Search media")
        self.search.textChanged.connect(self._sorted.setFilterFixedString)
        self.table = BinView(window)
        self.note = named(QLabel(EMPTY, wordWrap=True), "quiet")
        self._arrange()
        window.media_missing.connect(self._set_missing)

    def set_project(self, project: Project) -> None:
        """Show another value."""
        self.model.set_items(project.media)
        self.note.setVisible(not project.media)

    def focus_search(self) -> None:
        """Go to the search."""
        self._window.docks.raise_panel("bin")
        self.search.setFocus()
        self.search.selectAll()

    def selected(self) -> list[str]:
        """Ids of what is selected."""
        rows = self.table.selectionModel().selectedRows()
        return [str(index.data(Qt.ItemDataRole.UserRole)) for index in rows]

    def open_selected(self) -> None:
        """Look at the selected medium alone."""
        for name in self.selected()[:1]:
            item = self._window.project.value.item(name)
            path = self._window.project.path_of(item.media.path)
            if item.kind == "video":
                info = self._window.shots.media(path)
                if info is None or isinstance(info, str):
                    self._window.open_session(path)
                else:
                    self._window.show_in_source(info)

    def append_selected(self) -> None:
        """Behind the last clip."""
        self._place(self._window.project.value.timeline.record_out)

    def place_selected(self) -> None:
        """At the playhead of the timeline, over what is there."""
        self._place(self._window.record.frame)

    def _place(self, frame: int) -> None:
        from gui import timeline

        timeline.of(self._window).lay(list(self.selected()), "", frame)

    def remove_selected(self) -> None:
        """Out of the bin."""
        names = self.selected()

        def remove(project: Project) -> Project:
            for name in names:
                project = remove_item(project, name)
            return project

        if names:
            self._window.project.edit("Remove media", remove)

    def _set_missing(self, names: frozenset[str]) -> None:
        self.model.missing = names
        self.model.refresh()

    def _show_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        for name in (
            "open_in_source",
            "append_media",
            "place_media",
            "insert_source",
            "",
            "relink_media",
            "remove_media",
            "import_media",
        ):
            if name:
                menu.addAction(self._window.actions_by_name[name])
            else:
                menu.addSeparator()
        menu.exec(self.table.viewport().mapToGlobal(at))
        menu.deleteLater()

    def _arrange(self) -> None:
        table = self.table
        table.setModel(self._sorted)
        table.setSortingEnabled(True)
        table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setAlternatingRowColors(True)
        table.setIconSize(QSize(48, 27))
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setDragEnabled(True)
        table.setAcceptDrops(True)
        table.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._show_menu)
        table.doubleClicked.connect(lambda _: self.open_selected())
        table.setAccessibleName("Media of the project")
        header = table.header()
        header.setSectionsMovable(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for place, width in enumerate((170, 84, 52, 84, 90, 70, 80, 220)):
            table.setColumnWidth(place, width)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.search)
        column.addWidget(self.note)
        column.addWidget(table, 1)
        self.setMinimumWidth(230)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(330, 300)


def cells(item: BinItem) -> tuple[str, ...]:
    """What the columns say of a medium."""
    media = item.media
    name = PurePath(media.path).name
    sound = f"{item.sample_rate_hz / 1000:g} kHz, {item.channels} ch" if item.has_audio else ""
    if item.kind == "audio":
        seconds = float(media.frame_count / media.rate)
        length = f"{int(seconds) // 60:02d}:{seconds % 60:06.3f}"
        return (name, length, "", "", "", item.codec, sound, media.path)
    drop = item.drop_frame and allows_drop_frame(media.rate)
    length = str(Timecode(frame=media.frame_count, rate=media.rate))
    start = str(Timecode(frame=media.start_frame, rate=media.rate, drop_frame=drop))
    size = f"{item.width}×{item.height}" if item.width else ""
    return (name, length, rate_text(media.rate), size, start, item.codec, sound, media.path)
