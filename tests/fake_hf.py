"""Writes small data sets of Hugging Face's library to disk: `fake_hf.py FOLDER`, in a process of its own."""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import datasets  # noqa: TID251 - run as a script, without the repository on the path

SIZE = (24, 32)
RANDOM = np.random.default_rng(0)


def image(form: str = "JPEG") -> bytes:
    return encoded(Image.fromarray(RANDOM.integers(0, 256, (*SIZE, 3), np.uint8)), form)


def mask(values: int = 3) -> np.ndarray:
    return RANDOM.integers(0, values, SIZE, np.uint8)


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def table(count: int, masks: list, feature: object, key: str = "label", **more: tuple) -> datasets.Dataset:
    columns = {"image": [{"bytes": image(), "path": None} for _ in range(count)], key: masks}
    features = {"image": datasets.Image(), key: feature} | {name: kind for name, (kind, _) in more.items()}
    columns |= {name: values for name, (_, values) in more.items()}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def files(count: int, **options: int) -> list[dict]:
    return [{"bytes": encoded(Image.fromarray(mask(**options))), "path": None} for _ in range(count)]


def write(folder: Path) -> None:
    """Write what the names of the folders say; `repository` and `configs` are as the Hub has them."""
    named = {
        split: table(n, files(n), datasets.Image(), image_id=(datasets.Value("int64"), list(range(start, start + n))))
        for split, n, start in (("train", 12, 100), ("validation", 4, 200), ("test", 5, 300))
    }
    named["test"] = named["test"].map(lambda row, at: {"label": None if at == 4 else row["label"]}, with_indices=True)
    datasets.DatasetDict(named).save_to_disk(folder / "named")
    names = {"0": "ground", "2": "ring", "1": "disk", "9": "none"}
    (folder / "named" / "id2label.json").write_text(json.dumps(names), encoding="utf-8")
    arrays = [mask().astype(np.int64).tolist() for _ in range(20)]
    table(20, arrays, datasets.Array2D(SIZE, "int64"), key="mask").save_to_disk(folder / "alone")
    colours = np.array([[0, 0, 0], [200, 0, 0]], np.uint8)
    coloured = [{"bytes": encoded(Image.fromarray(colours[mask(2)])), "path": None} for _ in range(20)]
    table(20, coloured, datasets.Image(), key="annotation").save_to_disk(folder / "colours")
    unlabelled = table(20, files(20), datasets.Image(), key="second")
    unlabelled.save_to_disk(folder / "unclear")
    (folder / "repository" / "data").mkdir(parents=True)
    table(20, files(20), datasets.Image()).to_parquet(folder / "repository" / "data" / "train-00000-of-00001.parquet")
    (folder / "configs").mkdir()
    for name in ("big", "little"):
        table(20, files(20), datasets.Image()).to_parquet(folder / "configs" / f"{name}.parquet")
    listed = "".join(f"- config_name: {name}\n  data_files: {name}.parquet\n" for name in ("big", "little"))
    (folder / "configs" / "README.md").write_text(f"---\nconfigs:\n{listed}---\n", encoding="utf-8")


if __name__ == "__main__":
    datasets.disable_progress_bars()
    write(Path(sys.argv[1]))
