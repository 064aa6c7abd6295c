"""Read a source of images: a MURA folder or a manifest (csv)."""

from pathlib import Path

from murace.data.sources.listing import Listing
from murace.data.sources.manifest import list_manifest
from murace.data.sources.mura import CSV_NAMES, list_mura
from murace.errors import DataError


def read_source(path: Path) -> Listing:
    """List the images of a MURA folder or of a manifest.

    Raises:
        DataError: there is no such source, or it is neither.
    """
    try:
        place = path.resolve(strict=True)
        if place.is_dir():
            return list_mura(place)
    except FileNotFoundError:
        raise DataError(f"no such source: {path}") from None
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if path.suffix.lower() == ".csv" and place.is_file():
        return list_manifest(path.absolute())
    raise DataError(
        f"{path} is no source: give a MURA folder (with {', '.join(CSV_NAMES)}) or a manifest (*.csv with path,label)"
    )
