"""`prepare --follow-links`: data whose folders or files are links, as clusters, DVC and git-annex lay them out."""

import os
import shutil
from pathlib import Path

import pytest

from murace.config import PrepareConfig, params
from murace.data import store
from murace.errors import DataError, WorkspaceError
from murace.explain.pointing.boxed import boxed_images, request_image
from murace.steps.prepare import Operation, Prepared, run
from murace.system.progress import Reporter
from murace.workspace import Rerun, begin, read
from murace.workspace.commands import command
from murace.workspace.paths import Workspace
from tests.data.files import make_manifest, make_mura
from tests.steps.test_prepare import Listener, content, rejected

COUNT = 40


def prepare(
    source: Path, root: Path, *, follow: bool = False, reporter: Reporter | None = None, jobs: int = 1, accept: int = 0
) -> Prepared:
    config, operation = PrepareConfig(size=8, follow_links=follow), Operation(jobs=jobs, accept_rejects=accept)
    return run(source, Workspace(root), config, operation=operation, rerun=Rerun(), reporter=reporter or Listener())


def files(folder: Path) -> Path:
    """Every picture is a link into a store beside the folder, as DVC's and git-annex' are."""
    manifest = make_manifest(folder, header="path,label,patient", row="{path},{label},p{number}")
    store_folder = folder.parent / "store/ab"
    store_folder.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        path.rename(store_folder / f"{number:032x}")
        path.symlink_to(Path("..") / "store/ab" / f"{number:032x}")
    return manifest


def folders(folder: Path) -> Path:
    """MURA's `train` and one region of `valid` lie elsewhere."""
    make_mura(folder)
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    for place in ("train", "valid/XR_WRIST"):
        shutil.move(folder / place, elsewhere / place.replace("/", "-"))
        (folder / place).symlink_to(elsewhere / place.replace("/", "-"))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.mark.parametrize(("lay", "links"), [(files, "40 of 40"), (folders, "48 of 64")])
def test_links_are_followed_where_this_is_asked_for_and_else_the_refusal_names_the_option(
    tmp_path: Path, root: Path, lay, links: str
) -> None:
    source = lay(tmp_path / "source")
    number = links.partition(" ")[0]
    with pytest.raises(
        DataError, match=rf"^{links} radiographs .* read the {number} that are links out of the source with --follow-"
    ):
        prepare(source, root)
    assert set(rejected(root).values()) == {"a link that leads out of the source"}
    done = prepare(source, root, follow=True, jobs=2)  # what was refused a moment ago is not remembered
    assert done.rejected == 0
    real = tmp_path / "real"
    shutil.copytree(tmp_path / "source", real)  # links followed
    prepare(real / source.name if source.is_file() else real, tmp_path / "other")
    assert content(root) == content(tmp_path / "other")


def test_a_few_such_links_are_left_out_and_said_to_be(tmp_path: Path, root: Path) -> None:
    source = make_manifest(tmp_path / "source", count=100)
    (tmp_path / "source/image003.png").rename(tmp_path / "x.png")
    (tmp_path / "source/image003.png").symlink_to(tmp_path / "x.png")
    assert "1 links lead out of the source: --follow-links reads what they lead to" in prepare(source, root).notes


def test_a_link_in_a_circle_and_one_to_nothing_are_refused_all_the_same(tmp_path: Path, root: Path) -> None:
    source = files(tmp_path / "source")
    for number, target in ((3, "image003.png"), (5, "nowhere")):
        (tmp_path / f"source/image{number:03d}.png").unlink()
        (tmp_path / f"source/image{number:03d}.png").symlink_to(target)
    with pytest.raises(DataError, match=r"2 of 40 .* says which and why; repair them") as stop:
        prepare(source, root, follow=True)
    assert "--follow-links" not in str(stop.value)
    assert rejected(root) == {
        "image003.png": "a link that leads in a circle",
        "image005.png": "missing: a link to nothing",
    }


@pytest.mark.parametrize("name", ["../store/ab/x.png", "a/../../x.png", "/etc/hostname"])
def test_a_listed_path_leads_out_no_more_than_before(tmp_path: Path, root: Path, name: str) -> None:
    source = files(tmp_path / "source")
    with source.open("a") as file:
        file.write(f"{name},1,p\n")
    with pytest.raises(DataError, match="a path that cannot be used"):
        prepare(source, root, follow=True)


def test_older_records_stay_current_and_the_command_knows_the_option(tmp_path: Path, root: Path) -> None:
    assert params(PrepareConfig()).keys() == {"size", "fit", "seed"}  # what every record so far holds
    source = files(tmp_path / "source")
    prepare(source, root, follow=True)
    record = read(root / "prepare")
    assert record is not None
    assert record.params["follow_links"] is True
    assert command(Workspace(root), "prepare") == "murace prepare SOURCE --size 8 --follow-links"
    assert prepare(source, root, follow=True).skipped
    os.utime(tmp_path / "store/ab" / f"{3:032x}", (1, 1))
    assert prepare(source, root, follow=True).skipped
    reporter = Listener()
    with pytest.raises(DataError):
        prepare(source, root, reporter=reporter)
    assert reporter.said[0] == "prepare: --follow-links on -> off"
    assert prepare(source, root, follow=True).skipped
    begin(root / "prepare", "prepare", {"size": 8, "fit": "squash", "seed": 0}, {})
    with pytest.raises(WorkspaceError, match="--follow-links off -> on"):
        prepare(source, root, follow=True)


def test_the_boxes_of_such_images_are_found(tmp_path: Path, root: Path) -> None:
    source = files(tmp_path / "source")
    prepare(source, root, follow=True)
    index = store.read_index(root / "prepare/index.csv")
    boxes = index.assign(x=1.0, y=1.0, height=2.0, width=2.0)
    (image, *_) = boxed_images(boxes, source.parent, follow_links=True)
    assert request_image(image, 0).files.views[0].is_file()
