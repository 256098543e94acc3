"""Runs the notebooks and keeps what they show: `python -m tools.notebooks [--pictures]`.

Executed copies go to out/notebooks, to be read in Jupyter or an editor; the notebooks themselves
stay without outputs. With --pictures, the two pictures of the docs are written too; their city is
the made-up one, so they come out alike everywhere.
"""

import base64
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
FOLDER, OUT, IMAGES = ROOT / "notebooks", ROOT / "out" / "notebooks", ROOT / "docs" / "images"
TIMEOUT_S = 600

PICTURES = {
    ("02-hotspots", "of pure noise, by area"): "hotspots-and-noise.png",
    ("03-what-keeps-coming-back", "most chronic places"): "chronic-places.png",
}
"""Notebook, and what the title of the picture ends with."""


def run(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in its folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; says which and how.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:
        # A port would be open to everyone on the machine; sockets are ours.
        kernel = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(
            notebook, kernel, timeout=TIMEOUT_S, resources={"metadata": {"path": FOLDER}}
        )
        return client.execute()


def picture(notebook: nbformat.NotebookNode, title: str) -> bytes:
    """Take the picture out of the cell that gives it this title.

    Raises:
        ValueError: no cell draws it.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code" and title in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output.data["image/png"])
    message = f"no cell draws a picture called “… {title}”; mend PICTURES in {__name__}"
    raise ValueError(message)


def main() -> None:
    """Run all, or those that the pictures come from."""
    wanted = {name for name, _ in PICTURES} if "--pictures" in sys.argv else None
    # Kernels are programs of their own; they find the package as this one does.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    if wanted is not None:
        os.environ.pop("GRIDSVC_DATABASE_URL", None)  # else they would show what it holds
    OUT.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if wanted is not None and path.stem not in wanted:
            continue
        began = time.monotonic()
        shown = run(path)
        nbformat.write(shown, OUT / path.name)
        print(f"{OUT.relative_to(ROOT) / path.name}\t{time.monotonic() - began:.0f} s")
        for (name, title), file in PICTURES.items():
            if wanted is not None and name == path.stem:
                (IMAGES / file).write_bytes(picture(shown, title))
                print(f"docs/images/{file}")


if __name__ == "__main__":
    main()
