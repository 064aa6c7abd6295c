"""Recognise failures of the machine among unexpected exceptions: out of memory, a lost GPU, a failing disk.

Exceptions are known here by their names and words: torch and OpenCV, which raise them, take a second to load, and a
command that needs neither is to stay quick.
"""

import errno
from collections.abc import Iterator
from pathlib import Path

from murace.errors import MachineError
from murace.system.disk import FULL, disk_error

GPU_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
MEMORY = (
    *("can't allocate memory", "bad_alloc", "bad allocation"),  # on a CPU: torch's allocator, C++, onnxruntime
    *("could not create a memory", "could not create a primitive"),  # and oneDNN, which says no more than that
    *("Insufficient memory", "can't start new thread"),  # OpenCV; Python, where a thread's stack finds no room
    *("failed to map segment", "Cannot allocate memory", "static TLS"),  # the loader, of a library such as torch's
    *GPU_MEMORY,  # on a GPU, besides the exception of its own
)
# What cuDNN says of a convolution for which it finds no algorithm: on a GPU that has shown that it can compute one, its
# working memory did not fit. ("GET was unable to ...", "FIND was unable to ...")
NO_ENGINE = "was unable to find an engine to execute this computation"
NO_MEMORY = (errno.ENOMEM, errno.EAGAIN)  # the latter where no further process may be started
GPU = (
    *("CUDA error", "CUDA driver error", "CUDA unknown error", "CUDA failure", "Triton Error [CUDA]"),
    *("cuDNN error", "CUDNN_STATUS_", "CUBLAS_STATUS_", "CUSOLVER_STATUS_", "UnhandledCudaError"),
    *("device-side assert", "uncorrectable ECC error", "GPU is lost", "No CUDA GPUs are available"),
)
# An OSError that no check has foreseen is the machine's where it is one of these; a missing file is a bug of ours.
REFUSED = (
    *(errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY, errno.EFBIG, errno.EMFILE, errno.ENFILE),
    *(errno.ENODEV, errno.ENXIO, errno.ENOLCK, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU or the CPU had no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno in NO_MEMORY
    has_text = isinstance(error, RuntimeError | ImportError) or type(error).__module__.partition(".")[0] in (
        "cv2",
        "onnxruntime",
    )
    return has_text and any(word in str(error) for word in MEMORY)


def is_gpu_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU had too little memory for a pass, in any of its words, so that one of fewer images may go through.

    Ask this only where fewer images are then tried: some of the words may mean something else.
    """
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(word in str(error) for word in (*GPU_MEMORY, NO_ENGINE))


def is_gpu_failure(error: BaseException) -> bool:
    """Whether a GPU was lost or broke down: the process can compute nothing more on it, whatever it tries."""
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "AcceleratorError" or any(word in str(error) for word in GPU)


def refuse_machine_error(error: BaseException) -> None:
    """Raise again what says nothing about a file that was being read: no memory for it, or a GPU that is gone.

    Called where all else that is raised would mean that the file is damaged, and the work would start over for nothing.
    """
    if is_out_of_memory(error) or is_gpu_failure(error):
        raise error


def machine_error(error: BaseException, *, saves: bool = True) -> MachineError | None:
    """The one-line error for an exception that is the machine's fault; None where it is not.

    Args:
        error: as it was raised, perhaps because of another.
        saves: whether what was finished is on the disk.
    """
    messages = (_message(one, "what was finished is saved" if saves else "nothing was saved") for one in _causes(error))
    return next((MachineError(message) for message in messages if message), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that it was raised from on purpose."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _message(error: BaseException, saved: str) -> str:
    text = (str(error).splitlines() or [""])[0] or type(error).__name__
    if is_out_of_memory(error):
        advice = "Close other programs, or try fewer --threads or smaller images, and run the same command again"
        if isinstance(error, ImportError):
            advice = "A library found no room: raise the limit (ulimit -v, or the job's or container's)"
        return f"out of memory ({text}); {saved}. {advice}"
    if is_gpu_failure(error):
        return f"the GPU was lost or broke down ({text}); {saved}. Run the same command again, or with another --gpu"
    if type(error).__name__ in ("DistBackendError", "DistNetworkError"):
        return f"the processes of this run have lost each other ({text}); {saved}. Run the same command again"
    return _disk_message(error) if isinstance(error, OSError) else ""


def _disk_message(error: OSError) -> str:
    if error.errno in FULL:
        if error.filename is None:  # a stream that was opened elsewhere, such as stdout
            return f"disk full ({error.strerror}): free some space and run the same command again"
        return str(disk_error(error, Path(error.filename)))
    if "temporary directory" in str(error):  # Python's own words, with the errno of a missing file
        return "no folder for temporary files can be written to: set TMPDIR to one that can"
    if error.errno in REFUSED:
        where = "a file" if error.filename is None else str(error.filename)
        return f"cannot read or write {where}: {error.strerror}"
    return ""
