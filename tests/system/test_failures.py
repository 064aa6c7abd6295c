"""Every way in which memory, a GPU or a disk gives up is the machine's fault; everything else stays a bug."""

import errno
import os
import tempfile

import cv2
import pytest
import torch
import torch.distributed as dist

from murace.system.failures import is_gpu_failure, is_gpu_out_of_memory, is_out_of_memory, machine_error

HINT = "\nCUDA kernel errors might be asynchronously reported at some other API call"
NO_MEMORY = [
    MemoryError(),
    MemoryError("Unable to allocate 9.00 TiB for an array"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("could not create a primitive"),
    RuntimeError("can't start new thread"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    torch.AcceleratorError(f"CUDA error: out of memory{HINT}"),
    cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
]
GPU_GONE = [
    *(
        torch.AcceleratorError(f"CUDA error: {what}{HINT}")
        for what in (
            "unspecified launch failure",
            "uncorrectable ECC error encountered",
            "device-side assert triggered",
            "the launch timed out and was terminated",
            "an illegal memory access was encountered",
        )
    ),
    RuntimeError(f"CUDA error: unspecified launch failure{HINT}"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("CUDA driver error: GPU is lost"),
    RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
    RuntimeError("No CUDA GPUs are available"),
    dist.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp, ncclUnhandledCudaError: Call to CUDA function failed."),
]
BUGS = [
    KeyError("auc"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (8x3 and 4x2)"),
    ValueError("CUDA error is no word of torch's here"),
    KeyError("bad_alloc"),  # what a hostile file may be made to say
    FileNotFoundError(errno.ENOENT, "No such file", "x"),
    cv2.error("OpenCV(5.0.0) resize.cpp: error: (-215:Assertion failed) !ssize.empty()"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=repr)
def test_too_little_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_gpu_failure(error)
    assert str(machine_error(error)).startswith("out of memory (")


@pytest.mark.parametrize(
    ("error", "halves"),
    [
        *((error, "CUDA" in str(error) or "CUBLAS" in str(error)) for error in NO_MEMORY),
        *((error, False) for error in (*GPU_GONE, *BUGS)),
        # cuDNN's words where its working memory does not fit; elsewhere they may mean a net that it cannot compute
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("FIND was unable to find an engine to execute this computation\nmore"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
    ],
    ids=repr,
)
def test_fewer_images_are_tried_where_a_gpu_may_have_too_little_memory(error: Exception, halves: bool) -> None:
    assert is_gpu_out_of_memory(error) is halves


@pytest.mark.parametrize("error", GPU_GONE, ids=repr)
def test_a_gpu_that_is_gone(error: Exception) -> None:
    assert is_gpu_failure(error)
    assert not is_out_of_memory(error)
    story = str(machine_error(error))
    assert story.startswith("the GPU was lost or broke down (")
    assert "what was finished is saved. Run the same command again" in story
    assert "asynchronously" not in story


@pytest.mark.parametrize("error", BUGS, ids=repr)
def test_a_bug_is_nobody_elses_fault(error: Exception) -> None:
    assert machine_error(error) is None
    assert not is_out_of_memory(error)
    assert not is_gpu_failure(error)


def test_what_it_was_raised_from_counts_and_what_merely_went_before_does_not() -> None:
    on_purpose, by_chance = KeyError("a"), KeyError("a")
    on_purpose.__cause__, by_chance.__context__ = MemoryError(), MemoryError()
    assert machine_error(on_purpose)
    assert machine_error(by_chance) is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_disk_that_refuses_is_named_and_nothing_is_claimed(number: int) -> None:
    story = str(machine_error(OSError(number, os.strerror(number), "a/index.csv")))
    assert story == f"cannot read or write a/index.csv: {os.strerror(number)}"


def test_a_full_stream_without_a_name() -> None:
    story = str(machine_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert story == "disk full (No space left on device): free some space and run the same command again"


def test_a_command_that_saves_nothing_says_so() -> None:
    assert "; nothing was saved. " in str(machine_error(MemoryError(), saves=False))


def test_a_library_that_finds_no_room_is_too_little_memory() -> None:
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert str(machine_error(error, saves=False)) == (
        f"out of memory ({error}); nothing was saved. "
        "A library found no room: raise the limit (ulimit -v, or the job's or container's)"
    )
    assert machine_error(ImportError("No module named 'torch'")) is None


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere", "/proc"])
    with pytest.raises(FileNotFoundError) as missing:
        tempfile.gettempdir()
    said = "no folder for temporary files can be written to: set TMPDIR to one that can"
    assert str(machine_error(missing.value)) == said


def test_processes_that_have_lost_each_other() -> None:
    error = dist.DistBackendError("NCCL error: remote process exited or there was a network error\nmore")
    assert str(machine_error(error)).startswith("the processes of this run have lost each other (NCCL error: remote")
