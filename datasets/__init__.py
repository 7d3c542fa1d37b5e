"""The data sets' specs, one entry a name; the files beside this one are read when a trial needs them."""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.datasets: the folder 'datasets' is installed under that name.")

from bench.spec import DatasetSpec

_PETS = {"homepage": "https://www.robots.ox.ac.uk/~vgg/data/pets/", "licence": "CC BY-SA 4.0"}

DATASETS = (
    DatasetSpec(
        name="pets",
        adapter="bench.datasets.pets:load",
        classes=("pet", "background", "border"),
        summary="Oxford-IIIT Pet: 7349 photographs of cats and dogs; pet, background and the border between them.",
        archives="oxford_iiit_pet",
        aliases=("oxford_pets", "oxford-iiit-pet"),
        **_PETS,
    ),
    DatasetSpec(
        name="pets-binary",
        adapter="bench.datasets.pets:load_binary",
        classes=("background", "pet"),
        summary="Oxford-IIIT Pet with the border counted as pet.",
        archives="oxford_iiit_pet",
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
