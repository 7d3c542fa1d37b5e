"""The data sets' specs, one entry a name; the files beside this one are read when a trial needs them."""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.datasets: the folder 'datasets' is installed under that name.")

from bench.spec import DatasetSpec

_PETS = {
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
        name="shapes",
        adapter="bench.datasets.shapes:load",
        classes=("background", "disk", "square", "triangle", "ring"),
        summary="Coloured objects on textured ground, drawn by code at any size: 400 train, 40 val, 100 test.",
        licence="none needed: made by code",
        needs_data_dir=False,
    ),
)
