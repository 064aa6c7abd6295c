"""Progress bars on a terminal. Imported when the first one is drawn."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from murace.cli.display.plainbar import STOPPING
from murace.system.progress import Bar

MARGIN = 4  # columns: the terminal echoes ^C at the end of the last line, and must not begin another one


class Bars(Progress):
    """Bars that fit 80 columns: short notes stand beside them, long ones on a line of their own below.

    Those of things that go on at once (`resnet: epochs`, `densenet: epochs`) stand together by what they are of.

    Args:
        console: where they are drawn.
        is_stopping: whether a signal has come; then a line says so.
    """

    def __init__(self, console: Console, is_stopping: Callable[[], bool]) -> None:
        self.is_stopping = is_stopping
        super().__init__(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[beside]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, and the lines below them."""
        owners = list(dict.fromkeys(_owner(task) for task in self.tasks))
        tasks = sorted(self.tasks, key=lambda task: owners.index(_owner(task)))
        yield self.make_tasks_table(tasks)
        for task in tasks:
            if task.fields["below"]:
                line = Text(_owner(task) + task.fields["below"], style="dim")
                line.truncate(self.console.width - MARGIN, overflow="ellipsis")
                yield line
        if self.is_stopping():
            yield Text(STOPPING, style="yellow")

    def put(self, title: str, total: int, start: int) -> TaskID:
        """Add a bar, `start` of `total` done."""
        return self.add_task(title, total=total, completed=start, beside="", below="")


def _owner(task: Task) -> str:
    """`resnet: ` of the bar `resnet: epochs`; nothing where only one thing goes on."""
    name, colon, _ = task.description.rpartition(": ")
    return name + colon


class RichBar(Bar):
    """One bar; `has_line`: its notes are long and stand on a line below."""

    def __init__(self, bars: Bars, task: TaskID, *, has_line: bool) -> None:
        self.bars, self.task, self.place = bars, task, "below" if has_line else "beside"

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count `by` more; `note` is shown beside or below the bar."""
        fields: dict[str, Any] = {self.place: note}
        self.bars.update(self.task, advance=by, **fields)
