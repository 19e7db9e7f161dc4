"""Files are replaced whole or not at all."""

import stat

import pytest

from helpers.files import near, replaced


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with replaced(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.parent == tmp_path
    assert path.read_text() == "new" and mode(path) == 0o640
    assert [*tmp_path.iterdir()] == [path]


def test_a_private_file_is_private_from_the_first_byte(tmp_path):
    path, left = tmp_path / "key", tmp_path / ".key.part"
    left.write_text("of a command that was killed")
    left.chmod(0o644)
    with replaced(path, mode=0o600) as part:
        assert (mode(part), part.read_bytes()) == (0o600, b"")
        part.write_text("secret")
    assert (mode(path), path.read_text()) == (0o600, "secret")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_the_old_file_and_no_part(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def broken_off():
        with replaced(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        broken_off()
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_a_part_that_is_deleted_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replaced(path) as part:
        part.unlink()
    assert path.read_text() == "old"


def test_a_path_is_shown_as_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert near(tmp_path / "a" / "b.csv") == str((tmp_path / "a" / "b.csv").relative_to(tmp_path))
    assert near(tmp_path.parent / "c") == str(tmp_path.parent / "c")
