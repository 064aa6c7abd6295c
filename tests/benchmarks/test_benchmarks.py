"""The benchmark itself: its arithmetic, its table and file, and what it says of what cannot be measured."""

import json
import math
from pathlib import Path

import pytest

from murace.data.images.decode import read
from tests.benchmarks import __main__, gpu, gpu_guard, gpu_variants, prepare, startup, table, training, workers
from tests.benchmarks.gpu_bench import DRY, Bench
from tests.benchmarks.lines import Line
from tests.benchmarks.roofline import Machine
from tests.benchmarks.serve import Round
from tests.benchmarks.variants import COMPILED, LADDER, OURS, PLAIN, ChannelsFirst
from tests.benchmarks.whole_paper import Epoch, minutes
from tests.benchmarks.workers import Worker, WorkerError, compare


def rounds(*seconds: float, images: int = 10) -> list[Round]:
    return [Round(images, each, processor=each / 2, memory=100 + each) for each in seconds]


def test_a_ratio_above_one_means_that_ours_is_faster() -> None:
    line = compare("training", "it", rounds(1, 1, 2), rounds(2, 3, 4), target=1.5)
    assert (line.ours, line.theirs, line.ratio) == (10, 10 / 3, 2)  # of the ratios 2, 3 and 2
    assert line.memory == (102, 104)
    assert line.note == "processor 50.0 / 150.0 ms an image"


def test_a_shorter_start_is_a_higher_ratio() -> None:
    ours, bare = startup.Program(["ours"], seconds=[0.2, 0.2]), startup.Program(["bare"], seconds=[0.1, 0.1])
    line = startup._against("it", ours, bare)
    assert line.ratio == pytest.approx(0.5)
    assert line.note == "2.00 times its time, bar 1.3"
    assert "!" in table.row(line)
    ours.seconds = [0.125, 0.125]
    assert "!" not in table.row(startup._against("it", ours, bare))


@pytest.mark.parametrize(("ratio", "marked"), [(1.49, True), (1.5, False), (None, False)])
def test_what_is_below_its_bar_is_marked(ratio: float | None, marked: bool) -> None:
    assert ("!" in table.row(Line("training", "it", "images/s", 3, 2, ratio, 1.5))) == marked


def test_the_whole_paper_is_the_sum_of_its_parts() -> None:
    quick, slow = Epoch(1, 0.5, 10, 0), Epoch(2, 1, 0, 6)
    # 100 epochs each and one capture, 30 epochs of the slowest for the seven groups together, two passes over the test
    assert minutes({"a": quick, "b": slow}) == pytest.approx((150 + 10 + 300 + 90 + 12) / 60)


def test_the_roofline_is_the_lower_limit() -> None:
    machine = Machine(matrix=790, copy=4.3)
    assert [round(limit, -2) for limit in machine.limits("convnet")] == [86_800, 38_400]  # PERFORMANCE.md's own
    assert machine.limit("convnet") == min(machine.limits("convnet"))


def test_variants_differ_in_what_their_names_say() -> None:
    assert len({variant.name for variant in (*LADDER, COMPILED)}) == len(LADDER) + 1
    assert PLAIN.name == "fp32, NCHW, eager, resident"
    assert OURS.name == "bf16, channels-last, CUDA graph, resident"
    kinds = [type(variant.place(None)) is ChannelsFirst for variant in LADDER]  # type: ignore[arg-type]
    assert kinds == ["bf16, NCHW" in variant.name for variant in LADDER]


def test_table_and_file_come_out_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def measure(*, quick: bool) -> list[Line]:
        assert quick
        return [Line("pipeline", "a long name " * 9, "images/s", 1234.5, 12.34, 100.04, 20.0, (5.0, 600.0), "a remark")]

    def broken(*, quick: bool) -> list[Line]:
        raise OSError("no such thing\nand more")

    monkeypatch.setattr("tests.benchmarks.pipeline.measure", measure)
    monkeypatch.setattr("tests.benchmarks.threads.measure", broken)
    target = tmp_path / "found.json"
    __main__.main(["--only", "b,threads", "--quick", "--json", str(target)])
    found = json.loads(target.read_text())
    assert [line["part"] for line in found["lines"]] == ["pipeline", "threads"]
    assert found["lines"][0]["ratio"] == 100.04
    assert found["lines"][1]["ours"] is None
    assert found["lines"][1]["note"] == "OSError: no such thing"
    assert {"date", "processor", "cores", "threads", "python", "packages"} <= set(found["facts"])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("1,234", "12.3", "100", "20.0", "5.00 / 600", "a remark", "no such thing"))
    assert max(map(len, shown.partition("what  ")[2].splitlines())) <= sum(table.WIDTHS) + len(table.WIDTHS)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit, match="no part 'speed'"):
        __main__.main(["--only", "speed"])


def test_a_package_that_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "lacks", lambda *names: workers.lacks("no_such_package"))
    plain, keras = training._lines("it", {"murace": rounds(1), "plain": rounds(2)}, training.lacks(), bars=(2.2, 3.0))
    assert plain.ratio == 2
    assert (keras.ours, keras.theirs, keras.ratio) == (10, None, None)
    assert "no_such_package not installed" in keras.note
    assert "no_such_package" in table.row(keras)
    assert workers.lacks("json") == ""


def test_a_worker_says_why_it_ended() -> None:
    with pytest.raises(WorkerError, match="KeyError: 'device'"):
        Worker("worker_gpu", {})


def test_start_up_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    __main__.main(["--only", "startup", "--quick"])
    shown = capsys.readouterr().out
    assert "murace --help" in shown
    assert "Tab press" in shown
    assert "Error" not in shown


def test_variants_go_through_the_real_loop_and_one_that_is_late_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench("cpu", DRY, ends=math.inf, folder=tmp_path)
    monkeypatch.setattr(gpu_variants, "LADDER", (PLAIN, OURS))
    plain, ours = gpu_variants.techniques(bench, "convnet", 4)
    assert (plain.part, plain.unit, ours.unit) == ("dry run", "images/s", "images/s")
    assert plain.ours > 0
    assert ours.theirs == plain.ours
    assert ours.ratio is not None
    race = gpu_variants.Race(bench, "convnet", 4, 1e-3)  # seconds
    (failed,) = race.lines((PLAIN,), PLAIN)
    assert math.isnan(failed.ours)
    assert "not done within" in failed.note


def test_the_ways_of_a_step_are_compared_first_and_each_section_has_its_own_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(gpu.SECTIONS)[:2] == ["guard", "paper"]
    ends: list[float] = []
    monkeypatch.setattr(gpu_guard, "SLOW", ())  # what compiles takes minutes on a CPU
    monkeypatch.setattr(gpu, "machine", lambda bench: ends.append(bench.ends) or ())
    monkeypatch.setattr(gpu, "paper", lambda bench, large: ends.append(bench.ends) or ())
    monkeypatch.setitem(gpu.SECTIONS, "paper", 1.0)
    lines = list(gpu.measure("cpu", only=("paper", "guard"), limit=1000))
    assert len(lines) == 6, lines
    for eager, graph in zip(lines[::2], lines[1::2], strict=True):
        assert "eager" in eager.what
        assert "CUDA graph" in graph.what
        assert eager.note == "graph off"
        assert graph.note == "graph off; from the eager loss at most 0.0e+00, in the first step 0.0e+00"
        assert graph.theirs == eager.ours > 0
    assert ends[1] < ends[0] - 900


def test_the_many_tiny_files_are_radiographs_and_no_two_are_alike(tmp_path: Path) -> None:
    listed = prepare.tiny(tmp_path, 300)
    pictures = {read(path).grey.tobytes() for path in tmp_path.glob("*/*.png")}
    assert len(pictures) == len(listed.read_text().splitlines()) - 1 == 300
