"""What no module of murace may do, outside the one place that is named for it, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.security.names import Use, uses

PACKAGE = Path(__file__).parents[2] / "murace"


@dataclass(frozen=True)
class Rule:
    """Names that are forbidden, all below them too, and the modules in which they are not: module -> why."""

    what: str
    names: str
    gates: Mapping[str, str] = field(default_factory=dict)

    def hits(self, found: Use) -> bool:
        """Whether a use is one of these names, or lies below one."""
        return not self.forbidden.isdisjoint(found.path)

    @cached_property
    def forbidden(self) -> frozenset[str]:
        """The names."""
        return frozenset(self.names.split())


RULES = (
    Rule(
        "pickle in any of its forms",
        """pickle _pickle cPickle pickletools cloudpickle dill joblib shelve marshal jsonpickle copyreg multiprocessing
        torch.load torch.save torch.jit torch.package torch.serialization torch.export.load torch.export.save
        torch.multiprocessing torch.utils.data.DataLoader torch.distributed.checkpoint
        torch.distributed.broadcast_object_list torch.distributed.scatter_object_list
        torch.distributed.all_gather_object torch.distributed.gather_object torch.distributed.send_object_list
        torch.distributed.recv_object_list pandas.read_pickle pandas.read_hdf pandas.HDFStore *.read_pickle
        *.to_pickle weights_only=False allow_pickle=True numpy.load-without-allow_pickle
        numpy.lib.format.read_array numpy.lib.format.open_memmap""",
    ),
    Rule(
        "an array that is loaded",
        "numpy.load numpy.fromfile numpy.memmap numpy.loadtxt numpy.genfromtxt",
        {"data/ingest/pixelfile.py": "pixels.npy, by memory map, once its header is ours to the letter"},
    ),
    Rule(
        "weights that are read",
        """safetensors.safe_open safetensors.deserialize safetensors.torch.load safetensors.torch.load_file
        safetensors.torch.load_model safetensors.numpy.load safetensors.numpy.load_file""",
        {"nets/weights.py": "nets and states", "inference/recogniser/file.py": "the group model"},
    ),
    Rule("parsers that can do more than read", "yaml xml lxml plistlib"),
    Rule(
        "archives",
        """zipfile tarfile gzip bz2 lzma zipimport shutil.unpack_archive shutil.make_archive *.extractall
        *.unpack_archive zlib.decompress zlib.decompressobj""",
    ),
    Rule(
        "other programs",
        """subprocess pty os.system os.popen os.execv os.execve os.execvp os.execvpe os.execl os.execle os.execlp
        os.execlpe os.spawnl os.spawnle os.spawnlp os.spawnv os.spawnve os.spawnvp os.posix_spawn os.posix_spawnp
        os.fork os.forkpty os.startfile webbrowser""",
        {"system/workers.py": "murace's own worker processes, by a list of words"},
    ),
    Rule(
        "a shell",
        "shell=True subprocess.getoutput subprocess.getstatusoutput",
        {"cli/completion.py": "names the shell that a script is for"},
    ),
    Rule(
        "code from text",
        """builtins.eval builtins.exec builtins.compile builtins.__import__ runpy code codeop eval-of-a-table
        pandas.eval importlib.__import__ importlib.util.spec_from_file_location importlib.machinery
        types.FunctionType types.CodeType torch.hub torch.utils.model_zoo trust_repo torch.ops.load_library
        torch.classes.load_library torch.utils.cpp_extension""",
    ),
    Rule(
        "modules by computed name",
        "import-of-a-computed-name",
        {"data/images/dicom/file.py": "parts of pydicom, from a list that stands beside it"},
    ),
    Rule("native code", "ctypes cffi", {"system/device.py": "glibc's mallopt, in this process's own library"}),
    Rule(
        "pictures that are decoded",
        """PIL.Image.open PIL.ImageFile cv2.imread cv2.imreadmulti cv2.imreadanimation cv2.imdecode cv2.imdecodemulti
        cv2.VideoCapture cv2.dnn cv2.FileStorage imageio skimage matplotlib.image matplotlib.pyplot torchvision.io
        torchvision.datasets *.imread *.imdecode""",
        {"data/images/decode.py": "the one gate: sizes from the header, formats by their first bytes, then OpenCV"},
    ),
    Rule("truncated pictures that pass", "*.LOAD_TRUNCATED_IMAGES 'LOAD_TRUNCATED_IMAGES' *.MAX_IMAGE_PIXELS"),
    Rule(
        "DICOM",
        "pydicom gdcm openjpeg libjpeg pylibjpeg",
        {
            "data/images/dicom/file.py": "pydicom loaded quietly, tags read",
            "data/images/dicom/values.py": "pydicom's own dictionaries of codes",
        },
    ),
    Rule(
        "graphs of other formats",
        "onnx onnxruntime torch.onnx tensorflow keras",
        {"steps/export/onnx_graph.py": "writes graphs, and runs those it has just written"},
    ),
    Rule(
        "pages that are not escaped",
        """Environment-without-autoescape Environment-without-StrictUndefined autoescape=False jinja2.Template
        string.Template *.from_string""",
    ),
    Rule(
        "text declared safe",
        "markupsafe.Markup",
        {
            "report/figures.py": "matplotlib's SVG, in which it has escaped every text",
            "report/card.py": "text that `escape.markdown` has made harmless",
        },
    ),
    Rule(
        "the network",
        """socket ssl http urllib.request urllib3 requests httpx aiohttp ftplib smtplib poplib imaplib telnetlib xmlrpc
        asyncio socketserver huggingface_hub verify=False torch.distributed torch.hub torchvision-weights
        torchvision.models.get_weight torchvision.models.get_model torchvision._internally_replaced_utils wandb
        mlflow sentry_sdk""",
        {
            "workspace/lock.py": "only `socket.gethostname`, for the lock file while it is held",
            "system/processes.py": "torchrun's processes among themselves, by tensors",
            "cli/several.py": "`--gpu 0,1` is torchrun on this machine",
        },
    ),
    Rule(
        "temporary files outside the workspace",
        """tempfile.mktemp tempfile.mkstemp tempfile.mkdtemp tempfile.NamedTemporaryFile tempfile.TemporaryFile
        tempfile.TemporaryDirectory tempfile.SpooledTemporaryFile""",
    ),
    Rule(
        "files that are written",
        """open-for-writing os.open os.write os.pwrite os.truncate os.link os.symlink os.mkfifo os.mknod *.write_text
        *.write_bytes *.touch *.symlink_to *.hardlink_to to_csv-to-a-file *.to_parquet *.to_feather *.to_excel
        *.to_json *.to_hdf *.tofile numpy.savez numpy.savez_compressed numpy.savetxt cv2.imwrite
        safetensors.torch.save_file safetensors.torch.save_model safetensors.numpy.save_file shutil.copy shutil.copy2
        shutil.copyfile shutil.copyfileobj shutil.copytree mmap""",
        {
            "system/files.py": "the one writer: beside the place, synced, read back, renamed",
            "data/ingest/pixelfile.py": "the array in `prepare/partial`, which several processes fill",
            "data/ingest/chunks.py": "pixels into that array",
            "workspace/lock.py": "the lock file, which is never renamed; no link is followed",
            "inference/studies/journal.py": "lines appended as studies are read; no link is followed",
            "sample/layout.py": "drawings into a new folder of unfinished work, which is renamed",
            "system/workers.py": "the pipe to the parent",
            "cli/display/console.py": "/dev/null, when stdout has gone",
            "__main__.py": "/dev/null, for a closed stdout",
        },
    ),
    Rule(
        "files that are put in place",
        "os.replace os.rename os.renames shutil.move Path.replace Path.rename",
        {
            "system/files.py": "the one writer",
            "data/ingest/pixelfile.py": "the finished array, within one step's folder",
            "sample/layout.py": "what was drawn, within one folder",
            "steps/export/onnx_folder.py": "graphs that have all been compared, within one folder",
        },
    ),
    Rule("errors that are swallowed", "except-everything except-Exception-pass suppress(Exception)"),
    Rule(
        "printing",
        "builtins.print sys.stdout sys.stderr typer.echo rich.print pprint",
        {
            "cli/display/console.py": "the only place that prints",
            "cli/app.py": "--version",
            "__main__.py": "a closed stdout becomes /dev/null",
            "system/workers.py": "a worker's stdout is the pipe to its parent",
        },
    ),
    Rule(
        "JSON that is read",
        "json.loads json.load json.JSONDecoder",
        {
            "system/files.py": "the one strict parser, `parse_json`",
            "explain/overlays/folder.py": "cam's records, of which only names of files are believed",
            "system/workers.py": "what murace's own worker processes answer",
            "data/ingest/worker.py": "what the parent of the reading processes asks",
            "system/tasks.py": "what the parent of the processes that train asks",
            "system/processes.py": "what process 0 tells the others",
        },
    ),
)


def faults(source: str, module: str) -> list[str]:
    """What a module does that it may not, each with its line."""
    found = uses(source)
    return [
        f"{module}:{use.line}: {use.name} ({rule.what})"
        for rule in RULES
        if module not in rule.gates
        for use in found
        if rule.hits(use)
    ]
