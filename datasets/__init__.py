"""The specs of the built-in data sets, one per name. The adapter modules are imported only when a trial needs them."""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.datasets: the folder 'datasets' is installed under that name.")

from typing import Any

from bench.core.specs import NO_DATASET, DatasetSpec, Param
from bench.datasets.kaggle import AIRBUS, CARVANA

NO_DATA = DatasetSpec(
    name=NO_DATASET,
    adapter="bench.datasets:none",  # never resolved
    classes=("0", "1", "2"),
    summary="Random pixels and labels, for speed-only trials.",
    needs_data_dir=False,
)

_PETS: dict[str, Any] = {
    "homepage": "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    "licence": "CC BY-SA 4.0",
    "archives": (
        (
            "https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz",
            791_918_971,
            "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
        ),
        (
            "https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz",
            19_173_078,
            "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
        ),
    ),
}

DATASETS = (
    DatasetSpec(
        name="pets",
        adapter="bench.datasets.pets:load",
        classes=("pet", "background", "border"),
        summary="Oxford-IIIT Pet: 7349 photographs of cats and dogs; pet, background and the border between them.",
        aliases=("oxford_pets", "oxford-iiit-pet"),
        **_PETS,
    ),
    DatasetSpec(
        name="pets-binary",
        adapter="bench.datasets.pets:load_binary",
        classes=("background", "pet"),
        summary="Oxford-IIIT Pet with the border counted as pet.",
        **_PETS,
    ),
    DatasetSpec(
        name="carvana",
        adapter="bench.datasets.carvana:load",
        classes=("background", "car"),
        summary="Carvana: 5088 photographs of 318 cars at 1918 x 1280, split by car.",
        homepage="https://www.kaggle.com/c/carvana-image-masking-challenge",
        licence="Kaggle competition data",
        aliases=("carvana-image-masking-challenge",),
        kaggle=CARVANA,
        metrics=("carvana_dice",),
        may_show_pictures=False,
    ),
    DatasetSpec(
        name="airbus",
        adapter="bench.datasets.airbus:load",
        classes=("background", "ship"),
        summary="Airbus Ship Detection v2: 192,556 satellite tiles of 768 x 768, 42,556 of them with ships.",
        homepage="https://www.kaggle.com/c/airbus-ship-detection",
        licence="Kaggle competition data",
        aliases=("airbus-ships", "airbus-ship-detection"),
        params=(Param("balance_ships", "int", 0, "another name of balance", alias_of="balance"),),
        kaggle=AIRBUS,
        metrics=("airbus_f2",),
        may_show_pictures=False,
    ),
    DatasetSpec(
        name="shapes",
        adapter="bench.datasets.shapes:load",
        classes=("background", "disk", "square", "triangle", "ring"),
        summary="Coloured objects on textured ground, drawn by code at any size: 400 train, 40 val, 100 test.",
        licence="none needed: made by code",
        needs_data_dir=False,
    ),
    DatasetSpec(
        name="bands",
        adapter="bench.datasets.bands:load",
        classes=("background", "bright", "dark"),
        summary="Scenes of six bands in 12 bits, whose classes show in band 5 alone: 200 train, 40 val, 60 test.",
        licence="none needed: made by code",
        needs_data_dir=False,
    ),
)
