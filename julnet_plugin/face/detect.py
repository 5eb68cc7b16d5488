"""MediaPipe face mesh behind the tracker contract: 478 landmarks a face, equally precise at every plate size.

MediaPipe's own pipeline looks for faces in the whole picture with a detector that misses faces further away than two
metres, and remembers the previous picture, so that a resumed run would differ from an unbroken one. Here the parts of
the same wheel are put together differently: the full-range detector finds faces in the picture and in tiles of it, and
the landmark network runs on a square that we cut around each face ourselves. Nothing is remembered: `detect` depends on
the picture alone, `follow` on the picture and the landmarks that it is given.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from julnet_plugin.face.boxes import Box, box_of, overlap, tiles
from julnet_plugin.face.crop import mean_face
from julnet_plugin.face.cutout import VIEW_PX, Square, cut, shrunk, square_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Effort: TypeAlias = Literal["glance", "look", "thorough"]

_SEARCH_PX = 256  #: pictures and tiles are averaged to about this size before the detector takes them to its own 192
_DETECTED_MARGIN = 1.5  #: side of the square around a detected face, over the detector's box
_MOST_LOOKS = 4  #: at a detected face; the detector's box can be a third off and turned by 30°
_MIN_FACE = 0.065  #: smallest face that the detector finds, over the longer side of what it is shown (measured)
_SMALLEST_PX = 32  #: faces below this are not looked for: their mouth square would be under 24 px

_MESH_GRAPH = """
input_stream: "image"
input_stream: "roi"
input_side_packet: "with_attention"
output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""
_PRESENCE = "facelandmarkcpu__face_presence_score"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one picture.

    Shape:
        landmarks: (478, 3) float32, as `FaceTracker.detect` returns them.
        view: (192, 192, 3) the face cut out upright, as `cutout.cut` does, give or take one picture's motion; None
            where the tracker has none to share.
    """

    landmarks: Float32
    presence: float = 1.0  #: the network's own belief that this is a face, 0 to 1
    view: Picture | None = None


class MediaPipeFaceMesh:
    """Face tracker on MediaPipe 0.10.21's bundled networks. Threads that share one wait for one another.

    Args:
        min_detection: least detector score of a face that nobody followed.
        min_presence: least presence score of any face.
        mirror: also look at the mirrored face and take the mean. It costs a second run of the network (3 ms) and takes
            a third to a half of the jitter out (measured on the validation clips), and all left-right bias.
    """

    name = "mediapipe"

    def __init__(self, min_detection: float = 0.5, min_presence: float = 0.5, mirror: bool = True) -> None:
        self._min_detection = min_detection
        self._min_presence = min_presence
        self._mirror = mirror
        self._networks: _Networks | None = None
        self._lock = threading.Lock()

    def detect(self, picture: Picture, max_faces: int) -> list[Float32]:
        """Find faces; see `FaceTracker.detect`. Looks closer, tile by tile, where the whole picture shows none."""
        return [sighting.landmarks for sighting in self.search(picture, max_faces)]

    def search(
        self, picture: Picture, max_faces: int, known: Sequence[Float32] = (), effort: Effort = "thorough"
    ) -> list[Sighting]:
        """Find faces other than those already known, the largest first.

        Args:
            picture: (H, W, 3) display-referred RGB.
            max_faces: most faces to return.
            known: landmarks of faces that are followed already.
            effort: "glance" looks at the picture as a whole; "look" also at squares of its height, which show faces of
                7 % of it; "thorough" also, while no face is known, at ever smaller tiles. In 1080p: 6, 25, 450 ms.
        """
        picture = np.ascontiguousarray(picture)
        taken = [box_of(face) for face in known]
        found: list[Sighting] = []
        for level in _levels(picture.shape[1], picture.shape[0]):
            if level[0].size < _finest(effort, picture, nobody=not taken):
                break
            for square in self._squares(picture, level):
                if any(_same_face(box, square) for box in taken):
                    continue
                sighting = self._settle(picture, square)
                if sighting is not None and all(overlap(box_of(sighting.landmarks), box) < 0.4 for box in taken):
                    found.append(sighting)
                    taken.append(box_of(sighting.landmarks))
        found.sort(key=lambda s: -box_of(s.landmarks).area)
        return found[:max_faces]

    def follow(self, picture: Picture, faces: Sequence[Float32]) -> list[Sighting | None]:
        """Find the same faces again in the next picture of a shot; None for a face that is gone.

        Args:
            picture: (H, W, 3) display-referred RGB.
            faces: landmarks in the previous picture; a face that moved by more than a third of its size is lost.
        """
        picture = np.ascontiguousarray(picture)
        return [self._look(picture, square_of(face)) for face in faces]

    def close(self) -> None:
        """Free the networks; a later call loads them again."""
        with self._lock:
            if self._networks is not None:
                self._networks.close()
                self._networks = None

    def _settle(self, picture: Picture, square: Square) -> Sighting | None:
        """Landmarks of a detected face: look until the next look would start where this one did, as `follow` does."""
        sighting = None
        for _ in range(_MOST_LOOKS):
            sighting = self._look(picture, square)
            if sighting is None:
                return None
            before, square = square, square_of(sighting.landmarks)
            if square.like(before):
                break
        return sighting

    def _look(self, picture: Picture, square: Square) -> Sighting | None:
        face, plate_from_cut = cut(picture, square, VIEW_PX)
        with self._lock:
            points, presence = self._mesh(face)
        if presence < self._min_presence:
            return None
        points *= VIEW_PX
        landmarks = np.empty_like(points)
        landmarks[:, :2] = (points[:, :2] - 0.5) @ plate_from_cut[:, :2].T + plate_from_cut[:, 2]
        landmarks[:, 2] = points[:, 2] * (square.side / VIEW_PX)
        return Sighting(landmarks.astype(np.float32), presence, face)

    def _mesh(self, face: Picture) -> tuple[NDArray[np.float64], float]:
        networks = self._load()
        if not self._mirror:
            return networks.mesh(face)
        (points, presence), (mirrored, other) = networks.meshes(face, np.ascontiguousarray(face[:, ::-1]))
        if presence >= self._min_presence:
            mirrored = mirrored[_mirror_twins()]
            mirrored[:, 0] = 1 - mirrored[:, 0]
            points, presence = (points + mirrored) / 2, min(presence, other)
        return points, presence

    def _squares(self, picture: Picture, level: list[Box]) -> Iterator[Square]:
        """Detect faces inside each tile of a level and say where the landmark network should look."""
        step = max(1, round(level[0].size / _SEARCH_PX))
        small = shrunk(picture, step)
        for tile in level:
            y0, y1, x0, x1 = (int(edge) // step for edge in (tile.y0, tile.y1, tile.x0, tile.x1))
            part = np.ascontiguousarray(small[y0 : y1 or 1, x0 : x1 or 1])
            with self._lock:
                rows = self._load().boxes(part, close_up=len(level) == 1)
            height, width = part.shape[:2]
            for row in rows:
                x, y, w, h, eye_x0, eye_y0, eye_x1, eye_y1 = step * row * ([width, height] * 4)
                if max(w, h) >= _SMALLEST_PX / 2:
                    yield Square(
                        x=step * x0 + x + w / 2 - 0.5,
                        y=step * y0 + y + h / 2 - 0.5,
                        side=_DETECTED_MARGIN * max(w, h),
                        turn=float(np.arctan2(eye_y1 - eye_y0, eye_x1 - eye_x0)),
                    )

    def _load(self) -> _Networks:
        if self._networks is None:
            self._networks = _Networks(self._min_detection)
        return self._networks


class _Networks:
    """The MediaPipe graphs, each run on one picture at a time."""

    def __init__(self, min_detection: float) -> None:
        with _quiet(), _plots_later():
            from google.protobuf import text_format  # type: ignore[import-untyped]
            from mediapipe.framework import calculator_pb2
            from mediapipe.framework.formats import rect_pb2
            from mediapipe.python.solution_base import SolutionBase
            from mediapipe.python.solutions.face_detection import FaceDetection

            def mesh() -> Any:
                return SolutionBase(
                    graph_config=text_format.Parse(_MESH_GRAPH, calculator_pb2.CalculatorGraphConfig()),
                    side_inputs={"with_attention": True},
                    # The gate stays open, so that the score comes back with the landmarks and is judged in one place.
                    calculator_params={"facelandmarkcpu__ThresholdingCalculator.threshold": 0.0},
                    outputs=["landmarks", _PRESENCE],
                )

            self._mesh, self._other_mesh = mesh(), mesh()
            self._aside = ThreadPoolExecutor(1, "julnet-mirrored")
            self._far = FaceDetection(min_detection_confidence=min_detection, model_selection=1)
            self._near = FaceDetection(min_detection_confidence=min_detection, model_selection=0)
            self._whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1, rotation=0)
            blank = np.zeros((VIEW_PX, VIEW_PX, 3), np.uint8)
            self.meshes(blank, blank)  # what the networks have to say at their first run is said here
            self.boxes(blank, close_up=True)

    def mesh(self, face: Picture) -> tuple[NDArray[np.float64], float]:
        """Landmarks of the face in a square picture, (478, 3) over its side, and the presence score."""
        return self._points(self._mesh, face)

    def meshes(self, face: Picture, other: Picture) -> list[tuple[NDArray[np.float64], float]]:
        """The same of two pictures, at the same time: each run of the network keeps one core busy."""
        beside = self._aside.submit(self._points, self._other_mesh, other)
        return [self._points(self._mesh, face), beside.result()]

    def _points(self, graph: Any, face: Picture) -> tuple[NDArray[np.float64], float]:
        answer = graph.process({"image": face, "roi": self._whole})
        points = np.array([(p.x, p.y, p.z) for p in answer.landmarks.landmark], np.float64)
        return points, float(getattr(answer, _PRESENCE))

    def boxes(self, picture: Picture, close_up: bool) -> list[NDArray[np.float64]]:
        """Faces as (x, y, width, height, right eye x, y, left eye x, y), all over the picture's width and height.

        A picture in which the far-range network finds nothing may be a close-up: the near-range one knows faces that
        fill the picture.
        """
        for network in (self._far, self._near) if close_up else (self._far,):
            if detections := network.process(picture).detections:
                return [_row(detection) for detection in detections]
        return []

    def close(self) -> None:
        """Close the graphs."""
        self._aside.shutdown()
        for graph in (self._mesh, self._other_mesh, self._far, self._near):
            graph.close()


def _row(detection: Any) -> NDArray[np.float64]:
    data = detection.location_data
    box, eyes = data.relative_bounding_box, data.relative_keypoints[:2]
    return np.array([box.xmin, box.ymin, box.width, box.height, eyes[0].x, eyes[0].y, eyes[1].x, eyes[1].y])


def _levels(width: int, height: int) -> Iterator[list[Box]]:
    """What to show the detector, coarse to fine: the whole picture, squares of its height, of half that, and on."""
    yield [Box(0, 0, width, height)]
    side = min(width, height)
    seen = max(width, height)
    while seen * _MIN_FACE > _SMALLEST_PX:
        if side < 0.8 * seen:
            yield tiles(width, height, side)
            seen = side
        side //= 2


def _finest(effort: Effort, picture: Picture, nobody: bool) -> float:
    """Side of the smallest tiles worth looking at."""
    if effort == "glance":
        return max(picture.shape[:2])
    return 0 if effort == "thorough" and nobody else min(picture.shape[:2])


def _same_face(box: Box, square: Square) -> bool:
    """Whether a detection is the face that fills a box, found again; tiles overlap."""
    away = np.hypot(box.centre[0] - square.x, box.centre[1] - square.y)
    return bool(away < 0.35 * box.size and 0.5 < square.side / _DETECTED_MARGIN / box.size < 2)


@lru_cache(maxsize=1)
def _mirror_twins() -> NDArray[np.intp]:
    """For each landmark the one on the other side of the face: (478,) indices, its own inverse."""
    face = mean_face()
    twins = np.arange(len(face))
    for part in (slice(0, 468), slice(468, 478)):  # irises apart: they lie among the eyelids' points
        here = face[part]
        there = here * [-1.0, 1.0, 1.0]
        cost = np.square(there[:, None] - here[None]).sum(axis=-1)
        twins[part] = linear_sum_assignment(cost + cost.T)[1] + (part.start or 0)
    return twins


class _Later(types.ModuleType):
    """A module that is imported when something in it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _plots_later() -> Iterator[None]:
    """Let MediaPipe's drawing helpers, which nobody calls here, put off importing Matplotlib: it is half their time."""
    if "matplotlib" in sys.modules:
        yield
        return
    package, plots = _Later("matplotlib"), _Later("matplotlib.pyplot")
    package.__dict__.update(pyplot=plots, __path__=[])
    sys.modules.update({"matplotlib": package, "matplotlib.pyplot": plots})
    try:
        yield
    finally:
        for module in (package, plots):
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MediaPipe's C++ writes to the process's stderr while its graphs start off the user's terminal."""
    try:
        keep = os.dup(2)
    except OSError:  # no stderr at all, as under some hosts
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a file
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(keep, 2)
        os.close(keep)
