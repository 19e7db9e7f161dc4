"""Publishing is all or nothing: killed anywhere, the earlier month is whole until the new one is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.errors import WorkbookError
from helpers.publishing import publish

SHOP, MONTH, OTHER = "corner", "2026-06", "2026-05"

# Kills itself before its n-th change of the file system below the reports folder.
KILLED = """
import os, signal, sys
from pathlib import Path
from helpers.publishing import publish
reports, build, nth = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
seen = 0
def hook(event, args):
    global seen
    if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        return
    if event == "open" and not (isinstance(args[1], str) and set(args[1]) & set("wax")):
        return
    if event != "os.rmdir" and event != "os.remove" and str(reports) not in str(args[0]):
        return
    seen += 1
    if seen == nth:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
publish.publish(build, reports=reports, shop="corner", month="2026-06", manifest={"records": {}})
"""


def make_build(folder: Path, words: str) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("index.html", "01_data.html", "notebooks/01_data.ipynb", "tables/01_counts.csv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{words} {name}", encoding="utf-8")
    return folder


def put(tmp: Path, words: str, month: str = MONTH, **manifest: object) -> Path:
    build = make_build(tmp / "build", words)
    facts = {"records": {}, **manifest}
    return publish.publish(build, reports=tmp / "r", shop=SHOP, month=month, manifest=facts)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def words_of(folder: Path) -> str:
    assert publish.is_whole(folder)
    return (folder / "index.html").read_text(encoding="utf-8").split()[0]


def whole_versions(folder: Path) -> list[str]:
    places = (MONTH, f".previous-{MONTH}", f".staging-{MONTH}")
    return [words_of(folder / place) for place in places if publish.is_whole(folder / place)]


def test_publish_replaces_the_month_and_leaves_nothing_beside_it(tmp_path):
    put(tmp_path, "old")
    (tmp_path / "r" / SHOP / MONTH / "stray.html").write_text("no longer made")
    folder = put(tmp_path, "new")
    assert words_of(folder) == "new"
    assert not (folder / "stray.html").exists()
    assert [path.name for path in folder.parent.iterdir()] == [MONTH]


def test_manifest_lists_every_file_with_its_digest(tmp_path):
    folder = put(tmp_path, "new")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(files) == set(contents(folder)) - {"manifest.json"}
    (folder / "tables" / "01_counts.csv").write_text("touched")
    assert not publish.is_whole(folder)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("earlier", ["old", None])
def test_killed_before_every_change_the_earlier_month_is_whole_until_the_new_one_is(
    tmp_path, earlier
):
    reports, folder = tmp_path / "r", tmp_path / "r" / SHOP
    steps = 0
    while True:
        steps += 1
        shutil.rmtree(reports, ignore_errors=True)
        put(tmp_path, "other", month=OTHER)
        if earlier:
            put(tmp_path, earlier)
        before, build = contents(folder / OTHER), make_build(tmp_path / "build", "new")
        command = [sys.executable, "-c", KILLED, str(reports), str(build), str(steps)]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        at_kill = whole_versions(folder)
        assert not (folder / MONTH).exists() or publish.is_whole(folder / MONTH)
        assert "new" in at_kill or at_kill == ([earlier] if earlier else [])
        publish.recover(reports, SHOP)
        left = {path.name for path in folder.iterdir()}
        expected = "new" if "new" in at_kill else earlier
        assert left == {OTHER} | ({MONTH} if expected else set())
        assert not expected or words_of(folder / MONTH) == expected
        assert contents(folder / OTHER) == before
        if ended.returncode == 0:
            break
        assert words_of(put(tmp_path, "again")) == "again"
    assert steps > 10  # the script was killed at every one of its steps before it came through


def arrange(tmp: Path, stage: str, month: str, previous: str) -> Path:
    folder = tmp / "r" / SHOP
    places = {f".staging-{MONTH}": stage, MONTH: month, f".previous-{MONTH}": previous}
    for place, state in places.items():
        if state == "none":
            continue
        published = put(
            tmp / "made", {0: "stage", 1: "month"}.get(list(places).index(place), "previous")
        )
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(published, folder / place)
        if state == "half":
            (folder / place / "manifest.json").unlink()
        if state == "damaged":
            (folder / place / "index.html").write_text("damaged")
    return folder


@pytest.mark.parametrize(
    ("stage", "month", "previous", "expected"),
    [
        ("half", "whole", "none", "month"),
        ("half", "none", "none", None),
        ("half", "none", "whole", "previous"),
        ("damaged", "whole", "none", "month"),
        ("whole", "whole", "none", "stage"),
        ("whole", "none", "none", "stage"),
        ("whole", "none", "whole", "stage"),
        ("whole", "none", "half", "stage"),
        ("whole", "whole", "whole", "stage"),
        ("whole", "damaged", "whole", "stage"),
        ("none", "whole", "whole", "month"),
        ("none", "whole", "half", "month"),
        ("none", "none", "whole", "previous"),
        ("none", "damaged", "whole", "previous"),
        ("none", "none", "half", None),
        ("none", "whole", "none", "month"),
    ],
)
def test_recover_rolls_every_state_forward_or_back(tmp_path, stage, month, previous, expected):
    folder = arrange(tmp_path, stage, month, previous)
    publish.recover(tmp_path / "r", SHOP)
    assert {path.name for path in folder.iterdir()} == ({MONTH} if expected else set())
    if expected:
        assert words_of(folder / MONTH) == expected
    assert publish.recover(tmp_path / "r", SHOP) == []


def test_a_failed_exchange_puts_the_earlier_month_back(tmp_path, monkeypatch):
    put(tmp_path, "old")
    rename = publish._rename

    def fails_for_the_stage(source, target):
        if source.name.startswith(".staging"):
            raise PermissionError(13, "a file is open")
        rename(source, target)

    monkeypatch.setattr(publish, "_rename", fails_for_the_stage)
    with pytest.raises(WorkbookError, match="could not be published: a file is open"):
        put(tmp_path, "new")
    monkeypatch.undo()
    folder = tmp_path / "r" / SHOP
    assert [path.name for path in folder.iterdir()] == [MONTH]
    assert words_of(folder / MONTH) == "old"


def test_a_full_disk_leaves_the_earlier_month(tmp_path, monkeypatch):
    put(tmp_path, "old")

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "_write", full)
    with pytest.raises(WorkbookError, match="No space left"):
        put(tmp_path, "new")
    assert words_of(tmp_path / "r" / SHOP / MONTH) == "old"


def test_publishing_an_old_month_marks_later_ones_stale_and_touches_no_other_file(tmp_path):
    put(tmp_path, "may", month="2026-05", records={"01": "a"})
    may = publish.records_digest(publish.read_manifest(tmp_path / "r" / SHOP / "2026-05"))
    put(
        tmp_path,
        "june",
        month="2026-06",
        records={"01": "b"},
        earlier={"2026-05": may, "2025-06": ""},
    )
    stale = lambda: {  # noqa: E731
        month: publish.stale_because(publish.manifests(tmp_path / "r"), SHOP, month)
        for _, month in publish.manifests(tmp_path / "r")
    }
    assert stale() == {"2026-05": [], "2026-06": []}
    june = contents(tmp_path / "r" / SHOP / "2026-06")
    put(tmp_path, "may again", month="2026-05", records={"01": "a"})
    assert stale()["2026-06"] == []
    put(tmp_path, "may changed", month="2026-05", records={"01": "c"})
    put(tmp_path, "last june", month="2025-06", records={"01": "d"})
    assert stale() == {"2025-06": [], "2026-05": [], "2026-06": ["2025-06", "2026-05"]}
    assert contents(tmp_path / "r" / SHOP / "2026-06") == june


def test_home_is_rebuilt_from_manifests_alone_and_only_when_they_changed(tmp_path):
    reports = tmp_path / "r"
    assert publish.rebuild_home(reports) is False
    assert not reports.exists()
    put(tmp_path, "june", title="The corner shop")
    (reports / SHOP / "2026-07").mkdir()
    (reports / SHOP / "2026-07" / "index.html").write_text("a page without a manifest")
    assert publish.rebuild_home(reports) is True
    page = (reports / "index.html").read_text(encoding="utf-8")
    assert f"{SHOP}/2026-06/index.html" in page
    assert "The corner shop" in page
    assert "2026-07" not in page
    assert publish.rebuild_home(reports) is False
    put(tmp_path, "may", month="2026-05", title="The corner shop")
    assert publish.rebuild_home(reports) is True
    assert f"{SHOP}/2026-05/index.html" in (reports / "index.html").read_text(encoding="utf-8")


def test_home_does_not_hold_the_clock(tmp_path):
    for moment in ("2026-07-01T04:00:00+00:00", "2026-07-02T05:00:00+00:00"):
        put(tmp_path, "june", published_at=moment)
        publish.rebuild_home(tmp_path / "r")
        page = (tmp_path / "r" / "index.html").read_bytes()
        (tmp_path / moment[:10]).write_bytes(page)
    assert (tmp_path / "2026-07-01").read_bytes() == (tmp_path / "2026-07-02").read_bytes()
