"""What the operator's commands `card` and `evidence` do: write a model's papers from the coordinator's records.

They hold nothing private of a bank: a bank makes its own with `creditmesh-node`. Theory: `coordinator.dossier` gathers,
`risk.model_card` and `risk.pack` say what stands in them, `coordinator.evidence` writes.
"""

from contextlib import closing
from pathlib import Path

from coordinator import config
from coordinator.access import leave_note
from coordinator.dossier import dossier_of
from coordinator.log_reader import LogReader
from coordinator.model_view import Shelf, shelf_of
from coordinator.store import Store
from privacy.errors import InputError
from risk.dossier import Dossier
from risk.model_card import card_of
from risk.model_card_page import LANGUAGES, render_html, render_markdown

__all__ = ["card", "evidence"]


def card(config_path: Path, name: str, out: Path, language: str) -> int:
    """Write a model's card to a new .md or .html file; language: `en`, `zh` or `both`."""
    settings = config.load(config_path)
    if out.suffix not in (".md", ".html"):
        raise InputError("card-format", f"--out {out}: expected a name that ends in .md or .html")
    _, dossier = _dossier(settings, name)
    render = render_markdown if out.suffix == ".md" else render_html
    content = render(card_of(dossier), LANGUAGES if language == "both" else (language,))
    _write_new(out, content)
    print(f"{out}: {len(content)} bytes")
    return 0


def evidence(config_path: Path, name: str, out: Path) -> int:
    """Write a model's evidence pack into a new folder, or as one archive if `out` ends in .zip."""
    from coordinator.evidence import pack_of, write_pack

    settings = config.load(config_path)
    shelf, dossier = _dossier(settings, name)
    count = write_pack(pack_of(dossier, _records(settings, shelf, dossier)), out)
    leave_note(settings.state.dir, "evidence", dossier.sha256)
    print(f"{out}: {count} files; check them with: sha256sum --check SHA256SUMS")
    return 0


def _dossier(settings: config.CoordinatorConfig, name: str) -> tuple[Shelf, Dossier]:
    with closing(Store(settings.storage.url)) as store:
        shelf = shelf_of(settings.state.dir, store)
    return shelf, dossier_of(shelf, name)


def _records(settings: config.CoordinatorConfig, shelf: Shelf, dossier: Dossier) -> dict[str, bytes]:
    """Return what is signed, as it is: proposals, ballots, the job's manifest, and the head of the log."""
    found: dict[str, bytes] = {}
    for standing in shelf.standings:
        if standing.proposal.model == dossier.sha256:
            folder = f"sign-off/{standing.proposal.number}"
            found[f"{folder}/proposal.json"] = standing.proposal.encode()
            found |= {f"{folder}/{member}.dsse.json": raw for member, raw in standing.ballots.items()}
    job = str((dossier.lineage or {}).get("job", ""))
    manifest = settings.state.dir / "jobs" / job / "manifest.json"
    if job and manifest.exists():
        found["manifest.json"] = manifest.read_bytes()
    reader = LogReader(settings)
    head = reader.head() if reader.exists else None
    return found if head is None else {**found, "log-checkpoint.txt": head[1]}


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise InputError("output", f"{path}: exists already; a card replaces nothing") from None
