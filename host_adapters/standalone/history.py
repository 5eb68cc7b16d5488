"""Undo and redo of anything: each step keeps the value before and the value after, and never does arithmetic.

Unlimited and named. Steps with the same merge key that follow one another, as a drag makes them, become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Step:
    """One thing that was done."""

    name: str  #: as the menu says it after "Undo"
    before: Any
    after: Any
    apply: Callable[[Any], None]  #: puts a value in place
    key: object = None  #: of a drag; None = a step of its own


class History:
    """What was done, in order, and how much of it is undone.

    The history covers everything that is edited in the window: each step says itself where its value belongs.
    """

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._done = 0
        self._clean: int | None = 0
        self._sealed = True
        self.changed: list[Callable[[], None]] = []  #: called after every change

    def push(self, name: str, before: Any, after: Any, apply: Callable[[Any], None], key: object = None) -> None:
        """Take note of something and do it; what was undone before is forgotten.

        Args:
            name: for the menu.
            before: the value that undo puts back.
            after: the value that is put in place now, and by redo.
            apply: puts a value in place.
            key: steps with one key that follow at once become one step, until `seal`.
        """
        last = self._steps[self._done - 1] if self._done else None
        merges = key is not None and last is not None and last.key == key and not self._sealed
        if self._clean is not None and self._clean > self._done - (1 if merges else 0):
            self._clean = None  # the saved state is on the way that is given up
        if merges and self._clean == self._done:
            merges = False  # what was saved must stay reachable
        del self._steps[self._done :]
        if merges and last is not None:
            self._steps[-1] = replace(last, after=after)
        else:
            self._steps.append(Step(name, before, after, apply, key))
            self._done += 1
        self._sealed = key is None
        apply(after)
        self._tell()

    def seal(self) -> None:
        """The drag has ended: the next step is one of its own. A drag back to where it began is no step at all."""
        if not self._sealed and self._done and self._done == len(self._steps):
            last = self._steps[-1]
            if last.before == last.after and self._clean != self._done:
                self._steps.pop()
                self._done -= 1
                self._tell()
        self._sealed = True

    def undo(self) -> bool:
        """Put the value before the last step back."""
        if not self._done:
            return False
        self._sealed = True
        self._done -= 1
        step = self._steps[self._done]
        step.apply(step.before)
        self._tell()
        return True

    def redo(self) -> bool:
        """Do again what was undone last."""
        if self._done == len(self._steps):
            return False
        self._sealed = True
        step = self._steps[self._done]
        self._done += 1
        step.apply(step.after)
        self._tell()
        return True

    def clear(self) -> None:
        """Forget everything: another project."""
        self._steps.clear()
        self._done, self._clean, self._sealed = 0, 0, True
        self._tell()

    def set_clean(self) -> None:
        """What is now is saved."""
        self._clean = self._done
        self._sealed = True
        self._tell()

    def mark_unsaved(self) -> None:
        """What is now is not saved: a crash left it."""
        self._clean = None
        self._tell()

    def map_values(self, change: Callable[[Any], Any], apply: Callable[[Any], None]) -> None:
        """Change every value that steps with this `apply` keep: the project moved, and so did its paths."""
        self._steps = [
            replace(step, before=change(step.before), after=change(step.after)) if step.apply == apply else step
            for step in self._steps
        ]

    @property
    def clean(self) -> bool:
        """Whether everything that was done is saved."""
        return self._clean == self._done

    @property
    def undo_name(self) -> str | None:
        """What would be undone."""
        return self._steps[self._done - 1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What would be done again."""
        return self._steps[self._done].name if self._done < len(self._steps) else None

    @property
    def names(self) -> list[str]:
        """Every step, the first first."""
        return [step.name for step in self._steps]

    @property
    def position(self) -> int:
        """How many of `names` are done."""
        return self._done

    def _tell(self) -> None:
        for tell in list(self.changed):
            tell()
