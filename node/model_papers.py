"""What a bank's commands `card` and `evidence` do: write a model's papers from the bank's own records.

They hold the bank's private results too, so they are the bank's own business; the coordinator's hold none. Theory:
`node.dossier` gathers, `risk.model_card` and `risk.pack` say what stands in them, `node.evidence` writes.
"""

from pathlib import Path

from node import config
from node.access import leave_note
from node.archive import Archive
from node.config import NodeConfig
from node.dossier import dossier_of
from node.record_store import read_checkpoint
from node.signoff_store import SignoffStore
from privacy.errors import InputError
from privacy.log.statement import open_envelope
from risk.dossier import Dossier
from risk.model_card import card_of
from risk.model_card_page import LANGUAGES, render_html, render_markdown

__all__ = ["card", "evidence"]


def card(config_path: Path, name: str, out: Path, language: str) -> int:
    """Write a model's card to a new .md or .html file; language: `en`, `zh` or `both`."""
    settings = config.load(config_path)
    if out.suffix not in (".md", ".html"):
        raise InputError("card-format", f"--out {out}: expected a name that ends in .md or .html")
    dossier = dossier_of(settings, name)
    render = render_markdown if out.suffix == ".md" else render_html
    content = render(card_of(dossier), LANGUAGES if language == "both" else (language,))
    _write_new(out, content)
    print(f"{out}: {len(content)} bytes, this bank's own figures among them")
    return 0


def evidence(config_path: Path, name: str, out: Path) -> int:
    """Write a model's evidence pack into a new folder, or as one archive if `out` ends in .zip."""
    from node.evidence import pack_of, write_pack

    settings = config.load(config_path)
    dossier = dossier_of(settings, name)
    count = write_pack(pack_of(dossier, _records(settings, dossier)), out)
    leave_note(settings.state.dir, "evidence", dossier.sha256)
    print(f"{out}: {count} files, this bank's own figures among them; check them with: sha256sum --check SHA256SUMS")
    return 0


def _records(settings: NodeConfig, dossier: Dossier) -> dict[str, bytes]:
    """Return what is signed, as it is: proposals, the ballots this bank has seen, and the head of its log."""
    state = settings.state.dir
    store = SignoffStore(state)
    found: dict[str, bytes] = {}
    for proposal in store.proposals():
        own = store.ballot(proposal.sha256())
        if proposal.model == dossier.sha256:
            found[f"sign-off/{proposal.number}/proposal.json"] = proposal.encode()
            if own is not None:
                found[f"sign-off/{proposal.number}/{settings.member.id}.dsse.json"] = own
    for promotion in store.promotions():
        if promotion.proposal.model == dossier.sha256:
            folder = f"sign-off/{promotion.proposal.number}"
            found[f"{folder}/proposal.json"] = promotion.proposal.encode()
            for raw in promotion.ballots:
                found[f"{folder}/{open_envelope(raw)[0].predicate['member']}.dsse.json"] = raw
    job = str((dossier.lineage or {}).get("job", ""))
    if job:
        found["manifest.json"] = Archive(state, "").read(job).manifest.encode()
    note = read_checkpoint(state)
    return found if note is None else {**found, "log-checkpoint.txt": note}


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise InputError("output", f"{path}: exists already; a card replaces nothing") from None
