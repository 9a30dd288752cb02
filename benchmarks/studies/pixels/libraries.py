"""What each library itself makes of picture files: run by the Python of an environment that has the library.

    python libraries.py LOADER OUT.npz HEIGHT WIDTH FILE…

Imports nothing of ours, so that it runs where edgeproof is not installed. OUT.npz holds float32 [H, W, C] by the number of each
file, and nothing for a file that the library does not read; `versions` names what was used.
"""

import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable

import numpy as np

Loader = Callable[[list[str], int, int], list]


def keras_dataset(files: list[str], height: int, width: int, **settings: object) -> list:
    """keras.utils.image_dataset_from_directory, on the files that tf.io.decode_image reads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    def is_read(file: str) -> bool:
        try:
            image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
            if "pad_to_aspect_ratio" in settings:
                tf.image.resize_with_pad(image, height, width)  # refuses what would be less than a pixel wide
            return True
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False

    read = [number for number, file in enumerate(files) if is_read(file)]
    images: list = [None] * len(files)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/all")
        for number in read:
            shutil.copyfile(files[number], f"{folder}/all/{number:05}{os.path.splitext(files[number])[1]}")
        dataset = keras.utils.image_dataset_from_directory(
            folder, labels=None, batch_size=None, image_size=(height, width), shuffle=False, verbose=False, **settings
        )
        for number, image in zip(read, dataset, strict=True):
            images[number] = image.numpy()
    return images


def keras_crop(files: list[str], height: int, width: int) -> list:
    return keras_dataset(files, height, width, crop_to_aspect_ratio=True)


def keras_pad(files: list[str], height: int, width: int) -> list:
    return keras_dataset(files, height, width, pad_to_aspect_ratio=True)


def keras_bicubic(files: list[str], height: int, width: int) -> list:
    return keras_dataset(files, height, width, interpolation="bicubic")


def keras_nearest(files: list[str], height: int, width: int) -> list:
    return keras_dataset(files, height, width, interpolation="nearest")


def tensorflow_accurate(files: list[str], height: int, width: int) -> list:
    """As `keras_dataset`, with JPEGs decoded by libjpeg's accurate inverse transform."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def image(file: str) -> np.ndarray | None:
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3, dct_method="INTEGER_ACCURATE")
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return None
        return tf.image.resize(pixels, (height, width)).numpy()

    return [image(file) if file.endswith(".jpg") else None for file in files]


def load_img(files: list[str], height: int, width: int) -> list:
    """keras.utils.load_img with its target_size."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return [keras.utils.img_to_array(keras.utils.load_img(file, target_size=(height, width))) for file in files]


def torchvision(files: list[str], height: int, width: int, *, interpolation: str = "bilinear") -> list:
    """ImageFolder's loader; Resize (the shorter side), CenterCrop, PILToTensor."""
    # Declares torchvision's compiled operators, which fail to load beside another torch. No transform uses them.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
    from torchvision import transforms
    from torchvision.datasets.folder import pil_loader

    steps = transforms.Compose(
        [
            transforms.Resize(round(max(height, width) * 256 / 224), transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop((height, width)),
            transforms.PILToTensor(),
        ]
    )
    return [steps(pil_loader(file)).permute(1, 2, 0).numpy() for file in files]


def torchvision_bicubic(files: list[str], height: int, width: int) -> list:
    return torchvision(files, height, width, interpolation="bicubic")


def pillow_bilinear(files: list[str], height: int, width: int) -> list:
    """Pillow's resize in one call."""
    from PIL import Image

    return [np.asarray(Image.open(file).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)) for file in files]


def pillow_bicubic(files: list[str], height: int, width: int) -> list:
    """Pillow's resize in one call, bicubic."""
    from PIL import Image

    return [np.asarray(Image.open(file).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)) for file in files]


def opencv(files: list[str], height: int, width: int) -> list:
    """cv2.imread and cv2.resize, turned from BGR to RGB to be compared."""
    import cv2

    images = [cv2.imread(file) for file in files]
    return [None if image is None else cv2.resize(image, (width, height))[..., ::-1] for image in images]


LOADERS: dict[str, Loader] = {
    "keras_dataset": keras_dataset, "keras_crop": keras_crop, "keras_pad": keras_pad, "keras_bicubic": keras_bicubic,
    "keras_nearest": keras_nearest, "tensorflow_accurate": tensorflow_accurate, "load_img": load_img,
    "torchvision": torchvision, "torchvision_bicubic": torchvision_bicubic, "opencv": opencv,
    "pillow_bilinear": pillow_bilinear, "pillow_bicubic": pillow_bicubic,
}  # fmt: skip


def versions() -> str:
    named = (
        ("tensorflow", "TensorFlow"),
        ("keras", "Keras"),
        ("torchvision", "torchvision"),
        ("cv2", "OpenCV"),
        ("PIL", "Pillow"),
    )
    return ", ".join(f"{title} {sys.modules[name].__version__}" for name, title in named if name in sys.modules)


def main() -> None:
    loader, out, height, width, *files = sys.argv[1:]
    images = LOADERS[loader](files, int(height), int(width))
    read = {str(number): np.asarray(image, np.float32) for number, image in enumerate(images) if image is not None}
    np.savez(out, versions=versions(), **read)


if __name__ == "__main__":
    main()
