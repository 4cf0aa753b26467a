"""The digest of code: every name and every byte, whatever the order they come in."""

from privacy.code import code_digest


def test_a_digest_names_every_file() -> None:
    files = {"risk/job.py": b"a", "risk/book.py": b"b"}
    assert code_digest(files) == code_digest(dict(reversed(files.items()))) and len(code_digest(files)) == 64
    others = [{"risk/job.py": b"a"}, {"risk/job.py": b"b", "risk/book.py": b"a"}, {"risk/job.pyb": b"", **files},
              {"risk/job.py": b"arisk/book.py", "x": b"b"}]  # fmt: skip
    assert len({code_digest(each) for each in [files, *others]}) == 5
