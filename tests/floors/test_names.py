"""Our import names are ours alone, and `proto/` never becomes a package."""

from importlib import metadata, util
from pathlib import Path

from tests.floors.tree import PACKAGES, ROOT, plant


def other_owners(distributions: list[metadata.Distribution], names: set[str]) -> list[str]:
    """List the distributions other than ours that install a file under one of our import names."""
    findings: set[str] = set()
    for distribution in distributions:
        owner = distribution.metadata["Name"]
        for file in distribution.files or []:
            top = file.parts[0].removesuffix(".py")
            if top in names and owner != "creditmesh":
                findings.add(f"{owner} installs {top}")
    return sorted(findings)


def package_marker_findings(root: Path) -> list[str]:
    """List the folders that must stay plain folders and have become packages."""
    return [name for name in ("proto", "deploy", "tests") if (root / name / "__init__.py").exists()]


def test_no_other_distribution_owns_our_names() -> None:
    assert other_owners(list(metadata.distributions()), set(PACKAGES)) == []


def test_our_names_are_found_in_this_tree() -> None:
    for name, folder in PACKAGES.items():
        spec = util.find_spec(name)
        assert spec is not None and spec.origin is not None, name
        assert Path(spec.origin).resolve().parent == ROOT / folder


def test_a_planted_owner_is_found(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "node/__init__.py": "",
            "node-2.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: node\nVersion: 2.0.0\n",
            "node-2.0.0.dist-info/RECORD": "node/__init__.py,,\nnode-2.0.0.dist-info/METADATA,,\n",
        },
    )
    found = list(metadata.distributions(path=[str(tmp_path)]))
    assert other_owners(found, set(PACKAGES)) == ["node installs node"]


def test_plain_folders_stay_plain() -> None:
    assert package_marker_findings(ROOT) == []


def test_a_planted_package_marker_is_found(tmp_path: Path) -> None:
    assert package_marker_findings(plant(tmp_path, {"proto/__init__.py": ""})) == ["proto"]
