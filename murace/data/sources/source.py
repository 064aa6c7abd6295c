"""Read a source of images: a MURA folder or a manifest (csv)."""

import errno
from pathlib import Path

from murace.data.sources.listing import Listing
from murace.data.sources.manifest import list_manifest
from murace.data.sources.mura import CSV_NAMES, list_mura
from murace.data.tables.paths import CIRCLE
from murace.errors import DataError
from murace.system.progress import Reporter

MANIFESTS = (".csv", ".tsv")


def read_source(path: Path, *, follow_links: bool = False, reporter: Reporter | None = None) -> Listing:
    """List the images of a MURA folder or of a manifest.

    Args:
        path: the folder, or the csv file.
        follow_links: look into folders that are links, too, for files that are not listed.
        reporter: is warned of ids that look alike.

    Raises:
        DataError: there is no such source, or it is neither.
    """
    try:
        place = path.resolve(strict=True)
        if place.is_dir():
            return list_mura(place, follow_links=follow_links)
    except FileNotFoundError:
        raise DataError(f"no such source: {path}") from None
    except RuntimeError:  # Python before 3.13
        raise DataError(f"{path} cannot be read: {CIRCLE}") from None
    except OSError as error:
        reason = CIRCLE if error.errno == errno.ELOOP else error.strerror
        raise DataError(f"{path} cannot be read: {reason}") from error
    if path.suffix.lower() in MANIFESTS and place.is_file():
        return list_manifest(path.absolute(), reporter=reporter)
    raise DataError(
        f"{path} is no source: give a MURA folder (with {', '.join(CSV_NAMES)}) or a manifest (*.csv with path,label)"
    )
