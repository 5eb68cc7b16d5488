"""The timeline as a movie: every frame as it is seen, every sample as it is heard. No Qt; runs on a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from gui.mixer import RATE_HZ, SoundBank, mixed, parts_of_timeline
from host_adapters.standalone.exports import Event, picture_events
from host_adapters.standalone.storage import absolute_path
from julnet_plugin.errors import MediaError
from julnet_plugin.media.files import replacing
from julnet_plugin.media.planes import converted
from julnet_plugin.media.timecode import Timecode
from julnet_plugin.types import FrameRange, MediaInfo

if TYPE_CHECKING:
    from host_adapters.standalone.project import Project
    from julnet_plugin.media.reader import PlateFrame

Progress = Callable[[int, int], None]  #: done, total; raises RedubCancelled to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write the movie."""

    title: str
    suffix: str
    encoder: str
    pixel_format: str
    options: dict[str, str]
    sound: str


FORMATS = {
    "h264": Format(
        title="H.264, for review",
        suffix=".mp4",
        encoder="libx264",
        pixel_format="yuv420p",
        options={"crf": "16", "preset": "veryfast"},
        sound="aac",
    ),
    "prores": Format(
        title="ProRes 422 HQ, for finishing",
        suffix=".mov",
        encoder="prores_ks",
        pixel_format="yuv422p10le",
        options={"profile": "3", "vendor": "apl0"},
        sound="pcm_s16le",
    ),
}


def export_movie(
    project: Project,
    folder: Path | None,
    path: Path,
    form: Format,
    progress: Progress,
    frames: FrameRange | None = None,
) -> Path:
    """Write the timeline.

    Args:
        project: whose timeline.
        folder: the project's.
        path: of the movie; it appears when it is whole.
        form: of `FORMATS`.
        progress: called after every frame.
        frames: of the timeline; None = all.

    Raises:
        MediaError: a medium cannot be read, or the movie cannot be written.
        RedubCancelled: `progress` raised it; nothing is left behind.
    """
    timeline = project.timeline
    wanted = frames or FrameRange(start=0, stop=timeline.record_out)
    if len(wanted) == 0:
        raise MediaError("the timeline is empty; put a clip on it before exporting", path)
    parts = parts_of_timeline(timeline, folder)
    bank = SoundBank(most_bytes=8 << 30)
    bank.prepare(parts)
    with replacing(path) as temporary, av.open(str(temporary), "w", format=form.suffix[1:]) as container:
        video = _video_stream(container, project, form)
        video.metadata["timecode"] = str(
            Timecode(frame=timeline.start_frame + wanted.start, rate=timeline.rate, drop_frame=timeline.drop_frame)
        )
        sound: Any = container.add_stream(form.sound, rate=RATE_HZ, layout="stereo") if parts else None
        bank.wait()
        heard = 0
        for done, frame in enumerate(pictures(project, folder, wanted), start=1):
            frame.pts, frame.time_base = done - 1, 1 / timeline.rate
            container.mux(video.encode(frame))
            if sound is not None:
                until = round(Fraction(done) / timeline.rate * RATE_HZ)
                start = round(Fraction(wanted.start) / timeline.rate * RATE_HZ)
                _encode_sound(container, sound, mixed(parts, bank, start + heard, until - heard), heard)
                heard = until
            progress(done, len(wanted))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def pictures(project: Project, folder: Path | None, wanted: FrameRange) -> Iterator[av.VideoFrame]:
    """Every frame as it is seen, at the project's size, BT.709; gaps are black."""
    width, height = _even(project)
    at = wanted.start
    for event in picture_events(project.timeline):
        start, stop = max(event.record_in, wanted.start), min(event.record_out, wanted.stop)
        if stop <= start:
            continue
        for _ in range(start - at):
            yield _black(width, height)
        shot = _Shot(event, folder)
        for frame in range(start, stop):
            yield _fitted(shot, shot.at(frame), width, height)
        shot.close()
        at = stop
    for _ in range(wanted.stop - at):
        yield _black(width, height)


class _Shot:
    """The frames of one clip, decoded in order: the plate's, or the take's where it holds them."""

    def __init__(self, event: Event, folder: Path | None) -> None:
        from julnet_plugin.media.colour import DisplayTransform

        clip, take = event.clip, event.clip.take
        self._clip = clip
        self._plate = _probe(absolute_path(clip.media.path, folder))
        self._dub: MediaInfo | None = None
        self._taken = FrameRange(start=0, stop=0)
        if take is not None and (absolute_path(take.folder, folder) / "dub.mov").is_file():
            self._dub = _probe(absolute_path(take.folder, folder) / "dub.mov")
            self._taken = take.frames
        self.transform = DisplayTransform(self._plate)
        self._running: Iterator[PlateFrame] | None = None
        self._from: MediaInfo | None = None
        self._last: PlateFrame | None = None

    def at(self, record: int) -> PlateFrame:
        """What is seen at a frame of the timeline."""
        native = min(self._clip.media.native_frame(record - self._clip.sync), self._plate.frame_count - 1)
        info, index = self._plate, native
        if self._dub is not None and native in self._taken:
            info, index = self._dub, min(native - self._taken.start, self._dub.frame_count - 1)
        if self._last is not None and self._from is info and self._last.index == index:
            return self._last
        if self._running is None or self._from is not info or (self._last is not None and index < self._last.index):
            self.close()
            self._start(info, index)
        assert self._running is not None
        for frame in self._running:
            if frame.index >= index:
                self._last = frame
                return frame
        raise MediaError(f"frame {index} of {info.path.name} cannot be decoded; export the shot again", info.path)

    def close(self) -> None:
        """Close the file."""
        closing: Any = self._running
        self._running = self._last = None
        if hasattr(closing, "close"):
            closing.close()

    def _start(self, info: MediaInfo, index: int) -> None:
        from julnet_plugin.media.reader import PlateReader

        self._from, self._last = info, None
        self._running = PlateReader(info).frames(FrameRange(start=index, stop=info.frame_count))


def _probe(path: Path) -> MediaInfo:
    from julnet_plugin.media.probe import probe

    return probe(path)


def _fitted(shot: _Shot, frame: PlateFrame, width: int, height: int) -> av.VideoFrame:
    """A frame in the movie's size: as it is where it fits, else scaled to fit with black bars."""
    native = frame.native
    if native is not None and (native.width, native.height) == (width, height) and shot.transform.identity:
        return _tagged(
            converted(native, "yuv444p10le", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        )
    rgb = np.ascontiguousarray(shot.transform.to_preview(frame.rgb))
    if rgb.shape[:2] != (height, width):
        rgb = _letterboxed(rgb, width, height)
    return _from_rgb(rgb)


def _letterboxed(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    import cv2

    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def _even(project: Project) -> tuple[int, int]:
    """The project's size, as subsampled colour can hold it."""
    return max(2, project.width // 2 * 2), max(2, project.height // 2 * 2)


def _black(width: int, height: int) -> av.VideoFrame:
    return _from_rgb(np.zeros((height, width, 3), np.uint8))


def _from_rgb(rgb: NDArray[np.uint8]) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return _tagged(converted(frame, "yuv444p10le", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG))


def _tagged(frame: av.VideoFrame) -> av.VideoFrame:
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return frame


def _video_stream(container: Any, project: Project, form: Format) -> Any:
    stream = container.add_stream(form.encoder, rate=project.timeline.rate, options=dict(form.options))
    stream.width, stream.height = _even(project)
    stream.pix_fmt = form.pixel_format
    stream.time_base = stream.codec_context.time_base = 1 / project.timeline.rate
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _encode_sound(container: Any, stream: Any, samples: NDArray[np.int16], at: int) -> None:
    if len(samples) == 0:
        return
    block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout="stereo")
    block.sample_rate, block.pts, block.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
    container.mux(stream.encode(block))
