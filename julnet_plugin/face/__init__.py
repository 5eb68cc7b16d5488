"""Faces: find them, follow them, choose one, cut it out steadily.

    detect      one picture -> landmarks of its faces
    shots       where the clip is cut
    track       pictures in order -> every face of every shot (`Tracking`)
    speaker     which of them gets the new line
    references  which frames show the network who it is drawing
    crop        landmarks -> a steady sub-pixel crop

Cheap to import: the networks load with the first picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import FaceTracker


@hookimpl
def julnet_face_trackers() -> Sequence[FaceTracker]:
    """The built-in tracker."""
    from julnet_plugin.face.detect import MediaPipeFaceMesh

    return [MediaPipeFaceMesh()]
