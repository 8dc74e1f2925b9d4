"""Which rules captions break, and which of that is the fault of the words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..columns import display_width
from ..speaker_names import Names
from .blocks import Block, Composer
from .rules import GAP, LINGER, LONGEST, SHORTEST, SPEED, Shape
from .segments import Segmenter, Span
from .units import Unit

__all__ = ["CaptionFault", "CaptionReport", "report_on"]

RULES: tuple[str, ...] = (
    "lines",
    "line_length",
    "too_short",
    "too_long",
    "too_fast",
    "gap",
    "overlap",
    "lingers",
)


@dataclass(frozen=True)
class CaptionFault:
    """A rule that a caption breaks.

    Args:
        rule: Which one; see `CaptionReport`.
        index: Which caption.
        value: What it is, in the rule's unit.
        limit: What it should be.

    Example:
        >>> for fault in client.transcribe("audio.wav").captions().report().faults:
        ...     print(fault.index, fault.rule, fault.value, fault.limit)
    """

    __module__ = "speechmatics_sync"

    rule: str
    index: int
    value: float
    limit: float


@dataclass(frozen=True, repr=False)
class CaptionReport:
    """How many captions break which rule.

    The rules:

    - ``lines``, ``line_length``: no more lines, and no longer ones, than asked for;
    - ``too_short``, ``too_long``: at least 5/6 of a second, at most 7 seconds;
    - ``too_fast``: at most 17 characters a second;
    - ``gap``: 2 frames (0.083 s) before the next caption; ``overlap``: never two at once;
    - ``lingers``: at most 0.5 s longer than the speech.

    Wide characters, as in Chinese, count double.

    Args:
        captions: How many there are.
        broken: By rule: how many captions break it.
        unavoidable: By rule: how many of them would break it however the words were split. A word
            may be longer than a line, said faster than it can be read, or stand alone.
        faults: Each of them.

    Example:
        >>> report = client.transcribe("audio.wav").captions().report()
        >>> report.captions, report.avoidable
        (1, 0)
    """

    __module__ = "speechmatics_sync"

    captions: int
    broken: dict[str, int]
    unavoidable: dict[str, int]
    faults: tuple[CaptionFault, ...]

    @property
    def avoidable(self) -> int:
        """How many faults another split of the words would not have."""
        return sum(self.broken.values()) - sum(self.unavoidable.values())

    def __repr__(self) -> str:
        counts = [
            f"{rule} {self.broken[rule]} ({self.unavoidable[rule]} unavoidable)"
            for rule in RULES
            if self.broken[rule]
        ]
        faults = ", ".join(counts) or "no faults"
        return f"<{type(self).__name__} of {self.captions} captions: {faults}>"


_LOOKS = 100.0
"""More than how a caption looks can cost."""


def report_on(blocks: Sequence[Block], shape: Shape, names: Names) -> CaptionReport:
    """Measure captions."""
    faults = [
        fault
        for index, block in enumerate(blocks)
        for fault in _faults(index, block, blocks[index + 1 : index + 2], shape)
    ]
    broken = dict.fromkeys(RULES, 0)
    for fault in faults:
        broken[fault.rule] += 1
    unavoidable = dict.fromkeys(RULES, 0)
    for fault in faults:
        block = blocks[fault.index]
        # Words whose times are the same, or run backwards, are shown one after the other.
        if (fault.rule == "line_length" and _has_long_word(block, shape, names)) or (
            fault.rule == "lingers" and block.is_delayed
        ):
            unavoidable[fault.rule] += 1
    for rule, least in _least(blocks, faults, shape, names).items():
        unavoidable[rule] += least
    return CaptionReport(len(blocks), broken, unavoidable, tuple(faults))


def _faults(
    index: int, block: Block, following: Sequence[Block], shape: Shape
) -> Iterator[CaptionFault]:
    if len(block.lines) > shape.lines:
        yield CaptionFault("lines", index, len(block.lines), shape.lines)
    widths = [display_width(line) for line in block.lines]
    if max(widths) > shape.line_length:
        yield CaptionFault("line_length", index, max(widths), shape.line_length)
    shown = block.end - block.start
    if shown < SHORTEST:
        yield CaptionFault("too_short", index, shown / 1000, SHORTEST / 1000)
    if shown > LONGEST:
        yield CaptionFault("too_long", index, shown / 1000, LONGEST / 1000)
    width = sum(widths) + len(widths) - 1
    if width * 1000 > SPEED * shown:
        yield CaptionFault("too_fast", index, width * 1000 / max(shown, 1), SPEED)
    if block.end > block.speech_end + LINGER:
        yield CaptionFault("lingers", index, (block.end - block.speech_end) / 1000, LINGER / 1000)
    for after in following:
        gap = after.start - block.end
        if gap < GAP:
            rule = "overlap" if gap < 0 else "gap"
            yield CaptionFault(rule, index, gap / 1000, 0 if gap < 0 else GAP / 1000)


def _has_long_word(block: Block, shape: Shape, names: Names) -> bool:
    """Whether each line that is too long holds a single word."""
    alone = {unit.text for unit in block.units}
    alone |= {names.prefix(unit.key) + unit.text for unit in block.units}
    return all(line in alone or display_width(line) <= shape.line_length for line in block.lines)


def _least(
    blocks: Sequence[Block], faults: Sequence[CaptionFault], shape: Shape, names: Names
) -> dict[str, int]:
    """How many captions are too short or too fast in the best split of each run of words."""
    least: dict[str, int] = dict.fromkeys(("too_short", "too_fast"), 0)
    faulty = {(fault.index, fault.rule) for fault in faults if fault.rule in least}
    if not faulty:
        return least
    units = [unit for block in blocks for unit in block.units]
    segmenter = Segmenter(units, shape, names, looks=0.0)
    index = at = 0
    for run in segmenter.runs():
        broken = dict.fromkeys(least, 0)
        spans = []
        while index < len(blocks) and at < run.end:
            spans.append(Span(at, at + len(blocks[index].units)))
            at = spans[-1].end
            for rule in least:
                broken[rule] += (index, rule) in faulty
            index += 1
        if not any(broken.values()):
            continue
        best = segmenter.split(run)
        if segmenter.cost(spans, run) - segmenter.cost(best, run) < _LOOKS * len(spans):
            other = broken  # what weighs as much may be another fault in the place of this one
        else:
            other = _broken(units, best, shape, names)
        for rule in least:
            least[rule] += min(broken[rule], other[rule])
    return least


def _broken(
    units: Sequence[Unit], spans: Sequence[Span], shape: Shape, names: Names
) -> dict[str, int]:
    """How often captions of a run would break each rule."""
    broken = dict.fromkeys(RULES, 0)
    composer = Composer(shape, names)
    composer.before = units[spans[0].start - 1].key if spans[0].start else None
    for start, end in spans:
        following = units[end].start if end < len(units) else None
        for fault in _faults(0, composer.block(units[start:end], following), (), shape):
            broken[fault.rule] += 1
    return broken
