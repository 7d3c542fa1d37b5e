"""Data sets at an address: the same as on disk, whole or not at all, and without credentials in anything written."""

import ast
import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_carvana, write_fake_pets
from faulty_server import serving
from layout_fixtures import save
from PIL import ExifTags, Image
from running import CONFIG, run

import bench.datasets
from bench.config import catalog
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError, reason_of
from bench.core.files import VARIABLE, file_stamp
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.core.untrusted.masking import masked
from bench.data.facts.long_steps import listening
from bench.data.loading.open_images import open_images
from bench.data.reading import contents
from bench.data.reading.contents import content, here
from bench.data.remote import asking, connecting, listing
from bench.data.remote.address import LOGINS, is_address, last_part, place_of
from bench.data.remote.failures import Unreachable
from bench.data.remote.mirror import listed_anew, mirror_of
from bench.data.remote.patience import threads
from bench.data.source import open_source
from bench.datasets import DATASETS
from bench.datasets.image_files import open_image, read_head, read_size

pytest.importorskip("aiohttp", reason="HTTP needs it: pip install aiohttp")
SPECS = {spec.name: spec for spec in DATASETS}
WRITERS = {"pets": write_fake_pets, "airbus": write_fake_airbus, "carvana": write_fake_carvana}
SIZE = (24, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(LOGINS, "{}")
    monkeypatch.setattr(asking, "PAUSES", (0.01, 0.02, 0.03))
    connecting._connect.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path):
    with serving(write_fake_pets(tmp_path / "pets")) as server:
        yield server


def picture(server, name="images/beagle_2.jpg"):
    return mirror_of(server.address) / name


# ---------------------------------------------------------------- the same as on disk


@pytest.mark.parametrize("kept", ["disk", "none"])
@pytest.mark.parametrize("name", WRITERS)
def test_an_address_gives_the_rows_order_and_fingerprint_of_the_folder(tmp_path, name, kept):
    folder = WRITERS[name](tmp_path / name)
    with serving(folder) as server:
        local, remote = (
            open_images(SPECS[name], SIZE, kept=kept, data_dir=place) for place in (folder, server.address)
        )
        for field in ("fingerprint", "protocol", "names", "groups", "splits", "classes", "warnings"):
            assert getattr(local, field) == getattr(remote, field)
        every = np.arange(len(local.names))
        for row, other in zip(local.rows(every, native=True), remote.rows(every, native=True), strict=True):
            assert (row.image == other.image).all() and (row.truth() == other.truth()).all()


@pytest.mark.needs("grain", "jax")
def test_a_trial_from_an_address_has_the_scores_and_key_of_the_folder(tmp_path):
    folder = write_fake_pets(tmp_path / "pets")
    config = replace(CONFIG, backend="jax", dataset="pets", budget=Budget(4, "steps"), batch_size=4, pack="none")
    with serving(folder) as server:
        local, remote = (
            run([replace(config, data_dir=place)], results=tmp_path / name)[0]
            for name, place in (("local", str(folder)), ("remote", with_login(server, "pass")))
        )
    assert [local.status, remote.status] == ["ok", "ok"], [local.reason, remote.reason]
    assert (local.metrics, local.validation, local.key) == (remote.metrics, remote.validation, remote.key)
    assert remote.config["data_dir"] == server.address.replace("://", "://***@")
    written = [path for path in (tmp_path / "remote").rglob("*") if path.is_file()]
    assert written and not any(b"me:pass" in path.read_bytes() for path in written)


def test_names_with_spaces_percent_signs_and_umlauts_are_those_of_the_files(tmp_path):
    names = ["a b.txt", "100%.txt", "a%20b.txt", "ä#1.txt", "q?.txt", "&amp;.txt"]
    for name in names:
        (tmp_path / "data" / "sub dir").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "sub dir" / name).write_text(name, encoding="utf-8")
    with serving(tmp_path / "data") as server:
        folder = mirror_of(server.address) / "sub dir"
        assert sorted(os.listdir(folder)) == sorted(names)
        assert [here(folder / name).read_text(encoding="utf-8") for name in names] == names


def test_what_was_packed_or_hashed_is_not_fetched_again(pets):
    for _ in range(2):
        open_images(SPECS["pets"], SIZE, kept="disk", data_dir=pets.address)
    fetched = {path: count for path, count in pets.asked.items() if path.startswith("GET") and "." in path}
    again = [path for path, count in fetched.items() if count > 1]
    # Each opening reads the first sample for its bands.
    assert len(fetched) > 12 and {Path(path).stem for path in again} <= {"Abyssinian_1"}


def test_masks_that_were_looked_at_are_not_fetched_again_to_hash_them(tmp_path):
    for number in range(12):
        save(np.full((20, 30, 3), 9 * number, np.uint8), tmp_path / "data" / "images" / f"{number}.png")
        save(np.full((20, 30), number % 2, np.uint8), tmp_path / "data" / "masks" / f"{number}.png")
    with serving(tmp_path / "data") as server:
        spec, place = catalog.find_dataset(f"folder:{server.address}")
        open_images(spec, SIZE, kept="none", data_dir=place)
        counts = {part: [server.asked[f"GET {part}/{n}.png"] for n in range(12)] for part in ("images", "masks")}
    # Headers twice and the hash; and the first sample is read for its bands.
    assert counts["masks"].count(1) == 11 and max(counts["masks"]) == 2
    assert max(counts["images"]) <= 4 and sum(count > 3 for count in counts["images"]) <= 1


@pytest.mark.parametrize("size", [16, 2**16])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_header_of_a_picture_is_the_same_however_much_of_it_was_fetched(tmp_path, monkeypatch, size, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = tmp_path / "data" / f"a.{suffix}"
    file.parent.mkdir()
    Image.effect_noise((70, 40), 90).convert("RGB").save(file, exif=exif)
    fsspec.filesystem("memory").pipe(f"/heads-{suffix}/a.{suffix}", file.read_bytes())
    monkeypatch.setattr(contents, "HEAD_BYTES", size)
    stub = mirror_of(f"memory://heads-{suffix}") / file.name
    assert read_head(stub) == read_head(file) and read_head(file).orientation == 6
    assert read_size(stub) == read_size(file)


# ---------------------------------------------------------------- faults of the connection


@pytest.mark.parametrize("fault", ["cut", "short", 500, 503, 429])
def test_a_failed_transfer_is_repeated_until_the_picture_is_whole(pets, fault):
    pets.faults["images/beagle_2.jpg"] = [fault, fault]
    with content(picture(pets)) as file:
        assert file.read() == (pets.folder / "images/beagle_2.jpg").read_bytes()
    assert pets.asked["GET images/beagle_2.jpg"] == 3


@pytest.mark.parametrize("fault", ["cut", "short", 500])
def test_a_picture_that_never_comes_whole_is_one_unreadable_row_with_its_address(pets, fault):
    pets.always["images/beagle_2.jpg"] = None
    path = picture(pets)
    pets.always["images/beagle_2.jpg"] = fault
    with pytest.raises(DataFault, match=f"^{pets.address}/images/beagle_2.jpg: it can't be read whole") as caught:
        content(path)
    assert caught.value.kind == "unreadable" and "\n" not in str(caught.value)
    assert pets.asked["GET images/beagle_2.jpg"] == len(asking.PAUSES) + 1
    source = open_source(SPECS["pets"], pets.address)
    with pytest.raises(BenchError, match="1 of the 12 samples of 'pets' can't be read"):
        open_images(SPECS["pets"], SIZE, kept="disk", data_dir=pets.address)
    left = open_images(SPECS["pets"], SIZE, kept="disk", data_dir=pets.address, skip_corrupt=True)
    assert len(left.names) == len(source.samples) - 1


def test_a_server_that_hangs_is_left_after_the_timeout_and_asked_again(pets, monkeypatch):
    path = picture(pets)
    monkeypatch.setattr(connecting, "SILENT_SECONDS", 0.3)
    connecting._connect.cache_clear()
    pets.faults["images/beagle_2.jpg"] = ["hang"]
    with content(path) as file:
        assert file.read() == (pets.folder / "images/beagle_2.jpg").read_bytes()


def test_a_server_that_is_gone_ends_the_step_at_once_and_keeps_what_was_packed(tmp_path, monkeypatch):
    folder = write_fake_pets(tmp_path / "pets")
    with serving(folder) as server:
        address, port = server.address, server.server_address[1]
        source = open_source(SPECS["pets"], address)
        server.always["images/beagle_12.jpg"] = 503
        server.always[""] = 503
        with pytest.raises(Unreachable, match=r"beagle_12.jpg: it can't be reached .*it answers 503"):
            open_images(SPECS["pets"], SIZE, kept="disk", data_dir=address)
    with pytest.raises(Unreachable, match="can't be reached"):
        open_images(SPECS["pets"], SIZE, kept="disk", data_dir=address)
    with serving(folder, port) as server:
        made = open_images(SPECS["pets"], SIZE, kept="disk", data_dir=address)
        assert len(made.names) == len(source.samples)
        assert server.asked.total() < 3 * len(source.samples)


def test_many_requests_that_fail_together_are_told_once_and_given_up_together(pets, monkeypatch, capfd):
    monkeypatch.setattr(asking, "PAUSES", (0.01, 4.0, 60.0))
    tree = mirror_of(pets.address)
    pets.always |= {f"images/{name}": 503 for name in os.listdir(pets.folder / "images")}

    def read(path):
        with content(path) as file:
            return file.read()

    with pytest.raises(KeyboardInterrupt), threads(8) as pool:
        waiting = [pool.submit(read, path) for path in (tree / "images").iterdir()]
        while "asked again in 4 s" not in (told := capfd.readouterr().err):
            time.sleep(0.05)
        time.sleep(0.3)
        raise KeyboardInterrupt
    failed = [str(future.exception()) for future in waiting if not future.cancelled()]
    assert failed and not any("asked 4 times" in text for text in failed)
    assert (told + capfd.readouterr().err).count("asked again in 4 s") == 1


def test_a_file_that_is_no_image_is_said_as_on_disk(pets):
    file = pets.folder / "images/beagle_2.jpg"
    file.write_bytes(b"no image")
    said = []
    for path in (picture(pets), file):
        with pytest.raises(DataFault) as caught:
            open_image(path, np.array)
        said.append(str(caught.value).replace(pets.address, str(pets.folder)))
    assert said == [f"{file}: can't be decoded (it is no image)."] * 2


def test_a_missing_picture_is_missing_without_another_try(pets):
    path = picture(pets)
    (pets.folder / "images/beagle_2.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        content(path)
    assert pets.asked["GET images/beagle_2.jpg"] == 1


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize("longer", [True, False])
def test_a_file_that_changed_after_it_was_hashed_is_refused_when_it_is_read(pets, longer):
    opened = open_images(SPECS["pets"], SIZE, kept="none", data_dir=pets.address)
    file = pets.folder / "images/Abyssinian_1.jpg"
    whole = bytearray(file.read_bytes())
    whole[-10] ^= 255
    file.write_bytes(whole + b"x" * longer)
    os.utime(file, (10**9, 10**9))  # HTTP tells whole seconds
    with pytest.raises(
        BenchError, match=rf"{pets.address}/images/Abyssinian_1.jpg.*: it has changed since it was listed"
    ):
        list(opened.rows(np.arange(len(opened.names))))
    with listed_anew():
        again = open_images(SPECS["pets"], SIZE, kept="none", data_dir=pets.address)
    assert again.fingerprint != opened.fingerprint
    assert len(list(again.rows(np.arange(len(again.names))))) == len(again.names)


def test_a_kept_listing_is_used_until_somebody_lists_anew(pets):
    tree = mirror_of(pets.address)
    asked = pets.asked.total()
    (pets.folder / "images" / "new.jpg").write_bytes(b"x" * 7)
    (pets.folder / "images" / "beagle_2.jpg").unlink()
    assert mirror_of(pets.address) == tree and pets.asked.total() == asked
    with listed_anew():
        assert file_stamp(mirror_of(pets.address) / "images" / "new.jpg")[0] == 7
    assert not (tree / "images" / "beagle_2.jpg").exists()


# ---------------------------------------------------------------- listing


def test_an_interrupted_listing_goes_on_where_it_was(pets, monkeypatch):
    monkeypatch.setattr(listing, "AT_ONCE", 1)
    files = sum(path.is_file() for path in pets.folder.rglob("*"))

    def interrupt(what, done, total):
        if what.startswith("asking for sizes") and done >= files // 2:
            raise KeyboardInterrupt

    with listening(interrupt), pytest.raises(KeyboardInterrupt):
        mirror_of(pets.address)
    tree = mirror_of(pets.address)
    assert sum(path.is_file() for path in tree.rglob("*")) == files
    heads = [count for path, count in pets.asked.items() if path.startswith("HEAD")]
    assert len(heads) == files and sum(heads) <= files + 2


def test_a_server_without_pages_is_listed_by_its_index_or_says_what_is_accepted(pets):
    pets.lists = False
    with pytest.raises(BenchError, match=r"can't be listed.*http.server, nginx with autoindex.*index.txt"):
        mirror_of(pets.address)
    names = [path.relative_to(pets.folder).as_posix() for path in pets.folder.rglob("*") if path.is_file()]
    (pets.folder / "index.txt").write_text("".join(f"./{name}\n" for name in [*names, ".hidden/x"]), encoding="utf-8")
    tree = mirror_of(pets.address)
    assert sorted(names) == sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())


@pytest.mark.parametrize("line", ["../../evil.txt", "/etc/passwd", "a//b", "a/./b", "C:\\x"])
def test_no_listed_name_leads_out_of_the_mirror(pets, line):
    pets.lists = False
    (pets.folder / "index.txt").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(BenchError, match=r"row 1: .* is no path below it"):
        mirror_of(pets.address)


@pytest.mark.parametrize("link", ["../up.txt", "/etc/passwd", "?C=N;O=D", "%2e%2e/x", "a%2fb", "http://other/x.jpg"])
def test_links_to_elsewhere_are_no_files(pets, link):
    page = f'<html><a href="{link}">x</a><a href="good.txt">good</a></html>'
    (pets.folder / "index.html").write_text(page, encoding="utf-8")
    (pets.folder / "good.txt").write_text("x", encoding="utf-8")
    tree = mirror_of(pets.address)
    assert [path.name for path in tree.rglob("*")] == ["good.txt"]


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("text", ["C:\\data\\pets", "C://data", "data/pets", "a:b", "/x://y", "folder name"])
def test_paths_are_no_addresses(text):
    assert not is_address(text)


def test_an_address_of_the_disk_is_its_folder(tmp_path):
    assert place_of(f"file://{tmp_path}/pets/") == str(tmp_path / "pets")


@pytest.mark.parametrize(
    "address, name",
    [
        ("https://host/data/pets/", "pets"),
        ("s3://bucket", "bucket"),
        ("zip::https://host/pets.zip", "pets.zip"),
        ("zip://inner/pets::https://host/a.zip", "pets"),
    ],
)
def test_a_data_set_is_named_by_the_last_part_of_its_address(address, name):
    assert last_part(place_of(address)) == name


@pytest.mark.parametrize(
    "address, said",
    [
        ("htps://host/x", r"the protocol htps is unknown. Did you mean https"),
        ("https://host/x?token=secret", r"an address with [?] names no folder"),
        ("https://host/" + "long/" * 60, "too long"),
        ("zip::data/pets.zip", "depends on the working folder. Give the whole path: zip::/"),
    ],
)
def test_an_address_that_can_not_be_used_is_one_line(address, said):
    with pytest.raises(BenchError, match=said) as caught:
        open_source(SPECS["pets"], address)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    import fsspec

    def lacking(*given, **more):
        raise ImportError("Install s3fs to access S3") from ModuleNotFoundError("No module", name="s3fs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", lacking)
    with pytest.raises(BenchError, match=r"'s3://bucket/pets' needs the package s3fs .*: pip install s3fs$"):
        open_source(SPECS["pets"], "s3://bucket/pets")


def test_an_archive_on_this_machine_is_read_as_its_folder(tmp_path):
    folder = write_fake_pets(tmp_path / "pets")
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", folder)
    one, other = (
        open_images(SPECS["pets"], SIZE, kept="disk", data_dir=place) for place in (folder, f"zip::{archive}")
    )
    assert one.fingerprint == other.fingerprint and (one.images == other.images).all()


def test_adapters_open_files_only_by_what_knows_addresses():
    root = Path(bench.datasets.__file__).parent
    own = {"hf_export.py", "tfds_export.py", "library_export.py", "library_folders.py"}  # of libraries, always on disk
    for file in (path for path in root.rglob("*.py") if path.name not in own):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            opened = ast.unparse(node)
            name = opened.partition("(")[0] if not isinstance(node.func, ast.Attribute) else node.func.attr
            if name in ("open", "read_text", "read_bytes", "read_file", "TiffFile", "imread"):
                known = r"archive\.open|here\(|open_image\(|BytesIO\(|\(file|\(opened\)"
                assert re.search(known, opened), f"{file.name}: {opened}"


def test_data_sets_that_open_their_files_themselves_say_so():
    spec = replace(SPECS["pets"], name="own", adapter="/somewhere/own.py:load")
    with pytest.raises(BenchError, match="'own' can't be read from 'https://host/x'"):
        open_source(spec, "https://host/x")


@pytest.mark.parametrize("option", [["--data-dir", "htps://host/a"], ["folder:htps://host/a"]])
def test_the_command_line_leaves_an_address_as_it_is(option):
    from typer.testing import CliRunner

    from bench.cli import app

    name = [] if option[0].startswith("folder:") else ["pets"]
    result = CliRunner().invoke(app, ["show-dataset", *name, *option])
    assert "'htps://host/a': the protocol htps is unknown" in " ".join(result.output.split())


# ---------------------------------------------------------------- credentials


SECRET = "p@ss/w0rd"


def with_login(server, secret=SECRET):
    return server.address.replace("://", f"://me:{secret.replace('/', '%2F')}@")


def test_credentials_are_used_and_kept_out_of_configuration_notes_and_cache(pets, cache):
    pets.login = "me:pass"
    config = catalog.resolve_config(TrialConfig(arch="unet", dataset=f"folder:{with_login(pets, 'pass')}/annotations"))
    assert config.data_dir == f"{pets.address.replace('://', '://***@')}/annotations"
    config = catalog.resolve_config(TrialConfig(arch="unet", dataset="pets", data_dir=with_login(pets, "pass")))
    assert config == catalog.resolve_config(config)
    source = open_source(SPECS["pets"], config.data_dir)
    assert len(source.samples) == 12
    written = json.dumps(config.to_dict()) + repr(source.notes) + " ".join(map(str, cache.rglob("*")))
    texts = [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    assert "me:pass" not in written and not any(b"me:pass" in text for text in texts)


def test_what_one_login_sees_is_not_read_with_another(pets):
    pets.login = "me:pass"
    names = [sample.name for sample in open_source(SPECS["pets"], place_of(with_login(pets, "pass"))).samples]
    asked = sum(pets.asked.values())
    assert open_source(SPECS["pets"], place_of(with_login(pets, "pass"))).samples[0].name == names[0]
    assert sum(pets.asked.values()) == asked
    pets.login = "me:other"
    open_source(SPECS["pets"], place_of(with_login(pets, "other")))
    assert sum(pets.asked.values()) > asked


@pytest.mark.parametrize("address", ["github://alice:cats@main/data", "git://folder:path@ref/data"])
def test_a_repository_is_no_credential(address):
    assert masked(address) == address


def test_credentials_for_http_may_be_in_the_file_netrc(pets, tmp_path, monkeypatch):
    pets.login = "me:pass"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pass\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(open_source(SPECS["pets"], pets.address).samples) == 12


def test_a_recorded_address_without_its_credentials_says_what_to_give(monkeypatch, pets):
    pets.login = "me:pass"
    hidden = place_of(with_login(pets, "pass"))
    monkeypatch.setenv(LOGINS, "{}")
    with pytest.raises(BenchError, match=r"was given with credentials, which aren't kept.*USER:PASSWORD"):
        open_source(SPECS["pets"], hidden)


def test_wrong_credentials_are_said_without_them_and_without_another_try(pets):
    pets.login = "me:other"
    with pytest.raises(BenchError, match="401") as caught:
        open_source(SPECS["pets"], with_login(pets, "pass"))
    assert "me:pass" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["https://me:p@ss@host/x", "https://me:pa/ss@host/x", "s3://key:secret@bucket", "zip::https://u:p@h/a.zip"],
)
@pytest.mark.parametrize("error", [BenchError, RuntimeError])
def test_no_message_or_reason_shows_credentials(address, error):
    said = reason_of(error(f"'{address}' can't be read."))
    assert "***@" in said and not any(part in said for part in ("me:", "ss@", "key:", "u:p"))
