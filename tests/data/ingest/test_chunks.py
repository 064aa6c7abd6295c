import errno
import json
import os
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from murace.data.ingest import pixelfile, pool, read_all, worker
from murace.data.ingest.chunks import make_chunks, open_array, read_chunk, run_chunk
from murace.data.ingest.job import Chunk, ImageOutcome, ReadJob
from murace.data.ingest.notes import finished, note_path, write_note
from murace.errors import MachineError
from murace.system.opencv import cv2
from murace.system.sealed import read_sealed, write_sealed
from murace.system.workers import WorkerProcess
from tests.data.files import picture, png

NAMES = [f"image{number}.png" for number in range(6)]


@pytest.fixture
def job(tmp_path) -> ReadJob:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(png(picture(number)))
    pixels = tmp_path / "pixels.npy"
    pixelfile.create(pixels, len(NAMES), 8)
    return ReadJob(str(tmp_path), str(pixels), str(tmp_path), pixelfile.offset_of(pixels), 8, "squash")


@pytest.mark.parametrize("count", [0, 1, 9, 50, 249, 250, 251, 299, 300, 1500])
def test_chunks_hold_every_image_once_and_in_order(count):
    paths = [f"{number}.png" for number in range(count)]
    found = make_chunks(paths, 256)
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert [path for chunk in found for path in chunk.paths] == paths
    assert all(chunk.paths[0] == paths[chunk.first] for chunk in found)
    assert all(1 <= len(chunk.paths) <= 50 for chunk in found)


def test_the_last_chunks_are_small_so_that_no_process_ends_long_after_the_others():
    lengths = [len(chunk.paths) for chunk in make_chunks(["image.png"] * 1500, 256)]
    assert lengths[:25] == [50] * 25
    assert lengths[25:] == [10] * 25


def test_a_chunk_is_noted_after_its_pixels_are_durable(job, monkeypatch):
    chunk, seen = Chunk(0, 0, tuple(NAMES)), []
    note = note_path(Path(job.notes), chunk)
    durable = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append((os.fstat(file).st_ino, note.exists())), durable(file)))
    run_chunk(job, chunk)
    assert seen[0] == (Path(job.pixels).stat().st_ino, False)
    assert note.exists()


def test_what_was_read_is_not_noted_before_it_is_settled(job):
    chunk = Chunk(0, 0, tuple(NAMES))
    with open_array(job) as descriptor:
        chunk_outcome = read_chunk(job, chunk, descriptor)
        assert finished(job, chunk) is None
        write_note(job, chunk, descriptor, chunk_outcome)
    assert finished(job, chunk) == chunk_outcome.outcomes


@pytest.mark.parametrize("bit", [0, 64 * 8 * 2 + 5, 64 * 8 * len(NAMES) - 1])
def test_a_chunk_whose_rows_are_not_those_written_is_not_finished(job, bit):
    chunk = Chunk(0, 0, tuple(NAMES))
    run_chunk(job, chunk)
    data = bytearray(Path(job.pixels).read_bytes())
    data[job.offset + bit // 8] ^= 1 << bit % 8
    Path(job.pixels).write_bytes(data)
    assert finished(job, chunk) is None


def test_rows_of_files_that_cannot_be_used_do_not_count(job):
    (Path(job.root) / NAMES[2]).write_bytes(b"")
    chunk = Chunk(0, 0, tuple(NAMES))
    outcomes = run_chunk(job, chunk)
    with Path(job.pixels).open("r+b") as file:
        file.seek(job.offset + 2 * 64)
        file.write(b"x" * 64)
    assert finished(job, chunk) == outcomes


def test_a_note_of_an_older_murace_is_read_again(job):
    chunk = Chunk(0, 0, tuple(NAMES))
    run_chunk(job, chunk)
    path = note_path(Path(job.notes), chunk)
    note = read_sealed(path)
    write_sealed(path, {"outcomes": note["outcomes"]})
    assert finished(job, chunk) is None
    for outcome in note["outcomes"]:
        del outcome["remarks"]
    write_sealed(path, note)
    assert finished(job, chunk) is None


def test_a_note_is_of_its_own_images_alone(job):
    for name in NAMES:  # all of one size and time, as far as one can see
        (Path(job.root) / name).write_bytes(png(picture(1)))
        os.utime(Path(job.root) / name, (1, 1))
    run_chunk(job, Chunk(1, 3, tuple(NAMES[3:])))
    assert finished(job, Chunk(1, 2, tuple(NAMES[2:5]))) is None
    assert finished(job, Chunk(1, 3, tuple(NAMES[3:5]))) is None
    assert finished(job, Chunk(7, 3, tuple(NAMES[3:]))) is not None


@pytest.fixture
def answers(monkeypatch, capsys):
    """Reads what a worker has answered in this process."""
    monkeypatch.setattr("murace.system.workers.pipe_to_parent", lambda: sys.stdout)
    return lambda: capsys.readouterr().out


def test_after_pixels_could_not_be_written_no_chunk_is_noted(job, monkeypatch, answers):
    """A failure is told once, and may be about the pixels of the next chunk too."""
    failures = [MachineError("disk full")]

    def first_fails(*given):
        if failures:
            raise failures.pop()
        write_note(*given)

    monkeypatch.setattr(worker, "write_note", first_fails)
    done = SimpleQueue()
    with open_array(job) as descriptor:
        for number, name in enumerate(NAMES[:2]):
            chunk = Chunk(number, number, (name,))
            done.put((chunk, read_chunk(job, chunk, descriptor)))
        done.put(None)
        worker._write_notes(job, descriptor, done)
    assert answers() == '{"error": "disk full", "kind": "MachineError"}\n'
    assert not list(Path(job.notes).glob("chunk-*"))


def test_answers_that_come_in_pieces_or_together_are_all_taken():
    reading, writing = os.pipe()
    reader, process = pool._Reader.__new__(pool._Reader), WorkerProcess.__new__(WorkerProcess)
    reader.worker, process.unread, process.stdout = process, b"", os.fdopen(reading, "rb")
    reader.chunks = pool.deque(given := [Chunk(number, number, ("a.png",)) for number in range(3)])
    answer = b'{"outcomes": [{"reason": "missing"}]}\n'
    taken = []
    for piece in (answer[:9], answer[9:] + answer + answer[:-1], answer[-1:]):
        os.write(writing, piece)
        taken.append(list(reader.receive()))
    os.close(writing)
    process.stdout.close()
    assert taken == [
        [],
        [(chunk, [ImageOutcome("missing")]) for chunk in given[:2]],
        [(given[2], [ImageOutcome("missing")])],
    ]


@pytest.mark.parametrize(
    ("error", "key", "told"),
    [
        (MemoryError("Unable to allocate 9 TiB"), "error", "out of memory (Unable to allocate 9 TiB)"),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"), "error", "out of memory ("),
        (OSError(errno.EMFILE, "Too many open files", "a.png"), "error", "cannot read or write a.png: Too many open"),
        (KeyError("ours"), "bug", "Traceback"),
    ],
)
def test_a_reading_process_tells_the_machines_fault_from_a_bug(error, key, told, answers):
    with worker._errors_answered():
        raise error
    answer = json.loads(answers())
    assert answer.keys() - {"kind"} == {key}
    assert answer[key].startswith(told)


def test_the_room_of_an_array_that_is_not_written_yet_is_not_taken(tmp_path, monkeypatch):
    """Its file is as long as it will be from the start, and empty: a run that goes on asks for the rest."""
    request = read_all.Request(tmp_path, [f"{number}.png" for number in range(100)], 256, "squash")
    scratch = read_all.Scratch(tmp_path / "partial", tmp_path / "pixels.npy", {})
    scratch.folder.mkdir()
    pixelfile.create(scratch.pixels, 100, 256)
    monkeypatch.setattr("murace.system.disk.free_space", lambda _: 3_000_000)
    with pytest.raises(MachineError, match=r"the images need 6\.[0-9] MB in \S+ and 3\.0 MB are free"):
        read_all.require_space(request, scratch)
    with scratch.pixels.open("r+b") as file:
        file.write(bytes(range(256)) * 16 * 1024)
        os.fsync(file.fileno())
    read_all.require_space(request, scratch)
