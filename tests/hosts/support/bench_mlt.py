"""MLT itself: project files, edited by us and rendered by `melt`."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from bench import Bench, Box, Shot
from PIL import Image

from host_adapters.base import HostSession, MatteRef, RecordRange
from host_adapters.mlt.session import MltSession, melt_program, run_melt


def missing() -> str:
    """Why MLT cannot run here; empty = it can."""
    return "" if melt_program() else "melt is not here: apt-get install melt"


class MltBench(Bench):
    """One project file."""

    exact = False  # MLT works in 4:2:2 and the material is RGB; test_mlt.py compares 4:2:2 with 4:2:2, exactly
    tolerance = 6

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "Schnitt 1 ü.mlt"

    def open(self, shot: Shot) -> HostSession:
        self.path.write_text(project_of(shot), "utf-8")
        return self.reopen()

    def reopen(self) -> HostSession:
        return MltSession(str(self.path))

    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        file = sorted(Path(matte.path).parent.glob("*.png"))[frame]
        with Image.open(file) as picture:
            levels = np.array(picture)
        x0, y0, x1, y1 = box
        levels[y0:y1, x0:x1, 1] = 255 if white else 0
        Image.fromarray(levels, "LA").save(file)

    def hear(self, session: HostSession, frames: RecordRange, path: Path) -> None:
        """With the picture, and up to three times: `melt` hangs or leaves an empty file now and then."""
        session.save()
        movie = path.with_suffix(".mkv")
        cut = [str(self.path), f"in={frames.start.index}", f"out={frames.stop.index - 1}"]
        how = ["-consumer", f"avformat:{movie}", "vcodec=ffv1", "acodec=pcm_s16le", "real_time=-1"]
        assert any(run_melt([*cut, *how], str(movie)) and movie.stat().st_size for _ in range(3))
        movie.replace(path)

    def close_project(self) -> None:
        self.path.unlink()


def project_of(shot: Shot) -> str:
    """A project as `melt` writes it, with one clip."""
    rate, (width, height) = shot.record_rate, shot.size
    path = escape(str(shot.plate))
    if shot.speed == 1:
        service = f'<property name="resource">{path}</property><property name="mlt_service">avformat</property>'
    else:
        service = (
            f'<property name="resource">{float(shot.speed)}:{path}</property>'
            '<property name="mlt_service">timewarp</property>'
        )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<mlt LC_NUMERIC="C" version="7.12.0" producer="main">
  <profile width="{width}" height="{height}" frame_rate_num="{rate.numerator}" frame_rate_den="{rate.denominator}"
           progressive="1" sample_aspect_num="1" sample_aspect_den="1" display_aspect_num="4" display_aspect_den="3"
           colorspace="601"/>
  <producer id="plate"><property name="length">{shot.frames}</property>{service}</producer>
  <playlist id="V1">
    <blank length="{shot.record_in}"/>
    <entry producer="plate" in="{shot.start}" out="{shot.stop - 1}"/>
  </playlist>
  <tractor id="main">
    <track producer="V1"/>
  </tractor>
</mlt>
"""


def make(folder: Path) -> Bench:
    """A bench on a folder of its own."""
    return MltBench(folder)
