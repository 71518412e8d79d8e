"""The fonts that digits are drawn with, by Debian package, and the drawing itself.

Whole families are held out, never single weights of one, and no family that is drawn after
another stands on the other side: Carlito is cut from Lato, Hack from DejaVu, Noto Mono and Open
Sans from Droid, Roboto Slab from Roboto, and FreeFont from the same originals as URW's base set.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TRAINING_PACKAGES = [
    "fonts-breip",
    "fonts-comfortaa",
    "fonts-courier-prime",
    "fonts-crosextra-carlito",
    "fonts-dejavu-core",
    "fonts-dejavu-extra",
    "fonts-dkg-handwriting",
    "fonts-dosis",
    "fonts-ebgaramond",
    "fonts-freefont-ttf",
    "fonts-hack",
    "fonts-humor-sans",
    "fonts-inconsolata",
    "fonts-jetbrains-mono",
    "fonts-junction",
    "fonts-lato",
    "fonts-league-spartan",
    "fonts-liberation",
    "fonts-linuxlibertine",
    "fonts-lobster",
    "fonts-mononoki",
    "fonts-noto-mono",
    "fonts-open-sans",
    "fonts-play",
    "fonts-quicksand",
    "fonts-tomsontalks",
    "fonts-urw-base35",
]

HELDOUT_PACKAGES = [
    "fonts-cantarell",
    "fonts-comic-neue",
    "fonts-crosextra-caladea",
    "fonts-firacode",
    "fonts-roboto-slab",
    "fonts-roboto-unhinted",
    "fonts-sil-andika",
    "fonts-sil-gentium-basic",
]

# Pictures or framed keys stand where the digits should be.
NOT_DIGITS = {"D050000L.otf", "LinBiolinum_K.otf"}

SIDE = 28
SUPERSAMPLING = 4
CANVAS = SIDE * SUPERSAMPLING
GLYPH_HEIGHT = 20 * SUPERSAMPLING  # A margin of 4 pixels, which distortion may use up.
GLYPH_WIDTH_MAX = 24 * SUPERSAMPLING


def font_files(package: str) -> list[Path]:
    """The outline fonts of an installed package, sorted."""
    listing = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        wanted = " ".join(TRAINING_PACKAGES + HELDOUT_PACKAGES)
        raise SystemExit(f"{package} is not installed; apt-get install --no-install-recommends {wanted}")
    paths = (Path(line) for line in listing.stdout.splitlines())
    files = (path for path in paths if path.suffix in {".ttf", ".otf"} and not path.is_symlink())
    return sorted(path for path in files if path.name not in NOT_DIGITS)


@dataclass(frozen=True)
class Glyph:
    """A digit as one font draws it: white on black, centred on a canvas of four times the size."""

    label: int
    package: str
    canvas: Image.Image


def glyphs(packages: list[str]) -> list[list[Glyph]]:
    """Every font's ten digits, grouped by package so that a large family does not outweigh."""
    return [
        [draw(path, package, label) for path in font_files(package) for label in range(10)]
        for package in packages
    ]


def draw(path: Path, package: str, label: int) -> Glyph:
    """Draws one digit, scaled by its own box: old-style figures come out as tall as others."""
    font = ImageFont.truetype(path, GLYPH_HEIGHT)
    left, top, right, bottom = font.getbbox(str(label))
    scale = min(GLYPH_HEIGHT / (bottom - top), GLYPH_WIDTH_MAX / (right - left))
    font = ImageFont.truetype(path, GLYPH_HEIGHT * scale)
    canvas = Image.new("L", (CANVAS, CANVAS))
    left, top, right, bottom = font.getbbox(str(label))
    corner = ((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(corner, str(label), font=font, fill=255)
    return Glyph(label, package, canvas)


def distort(glyph: Glyph, rng: np.random.Generator) -> np.ndarray:
    """One 28x28 image in 0..=255 of a glyph turned, slanted, scaled, moved, thickened, blurred
    and covered with noise, each by an amount that a person still reads without doubt."""
    canvas = thicken(glyph.canvas, rng).transform(
        (CANVAS, CANVAS), Image.Transform.AFFINE, inverse_affine(rng), Image.Resampling.BILINEAR
    )
    small = canvas.resize((SIDE, SIDE), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.8)))
    pixels = np.asarray(small, np.float64)
    # Thin strokes fade when the canvas shrinks; ink has the same range of brightness in all fonts.
    pixels *= rng.uniform(160, 255) / max(pixels.max(), 1.0)
    pixels += rng.normal(0.0, rng.uniform(0.0, 20.0), pixels.shape)
    return pixels.clip(0, 255).round().astype(np.uint8)


def thicken(canvas: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Strokes grow by up to half a pixel of the final image on each side, or stay."""
    width = int(rng.choice([1, 1, 3, 5]))
    return canvas if width == 1 else canvas.filter(ImageFilter.MaxFilter(width))


def inverse_affine(rng: np.random.Generator) -> tuple[float, ...]:
    """Coefficients that take a target pixel to its source, as Pillow wants them."""
    angle = np.deg2rad(rng.uniform(-15, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[1.0, rng.uniform(-0.25, 0.25)], [0.0, 1.0]])
    size = np.diag(rng.uniform(0.75, 1.1, 2))
    inverse = np.linalg.inv(turn @ slant @ size)
    centre = np.array([CANVAS / 2, CANVAS / 2])
    shift = centre - inverse @ (centre + rng.uniform(-2.5, 2.5, 2) * SUPERSAMPLING)
    return (*inverse[0], shift[0], *inverse[1], shift[1])
