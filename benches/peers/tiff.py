"""fluorspar-tiff against tifffile and ScanImageTiffReader.

    python tiff.py agree DESCRIBE FILE ...
    python tiff.py written WRITE_VARIANTS
    python tiff.py speed SCAN FOLDER [--repeats 5]

`agree` compares pixels, shapes and types of every file with tifffile's and fails where they differ;
files that only one of the two reads are listed. `written` reads movies of every type, dialect and
compression that the writer makes, and fails where pixels or kinds differ. `speed` makes stacks in FOLDER (3 GB, kept for the
next time) and times readers on them alternately, each in a process of its own without its start:
open, read all, add up all pixels. DESCRIBE, WRITE_VARIANTS and SCAN are the crate's examples.

Needs numpy, tifffile, imagecodecs; uses ScanImageTiffReader where it is installed.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from importlib import metadata

import numpy as np
import tifffile

# ---------------------------------------------------------------- agreement


def frames_of(path):
    """All frames (frame, y, x) of the first page's kind, samples of a page as frames."""
    with tifffile.TiffFile(path) as tif:
        first = tif.pages[0]
        if len(tif.pages) == 1 and tif.is_imagej and tif.series[0].size > first.size:
            return tif.series[0].asarray().reshape((-1, *first.shape[-2:]))
        frames = []
        for page in tif.pages:
            if page.is_reduced and frames:
                continue
            if (page.shape, page.dtype) != (first.shape, first.dtype):
                raise ValueError("pages of different kinds")
            pixels = page.asarray()
            if page.samplesperpixel > 1 and page.planarconfig == 1:
                pixels = np.moveaxis(pixels, -1, 0)
            frames.append(pixels.reshape((-1, *pixels.shape[-2:])))
        return np.concatenate(frames)


def agree(describe, paths):
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    paths = sorted(path for path in paths if os.path.isfile(path))
    done = subprocess.run([describe, *paths], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(paths), f"{len(lines)} answers for {len(paths)} files"
    same, ours_only, refused, wrong = 0, [], {}, []
    for path, ours in zip(paths, lines):
        try:
            theirs = frames_of(path)
        except Exception:  # whatever a foreign decoder raises
            theirs = None
        if "error" in ours:
            if theirs is not None:
                reason = ours["error"].removeprefix(path).split(": ", 2)[-1]
                refused.setdefault(reason, []).append(os.path.basename(path))
            continue
        if theirs is None:
            ours_only.append(path)
            continue
        pixels = np.ascontiguousarray(theirs.astype(theirs.dtype.newbyteorder("<")))
        shape = (ours["frames"], ours["height"], ours["width"])
        if (shape, ours["crc32"]) == (theirs.shape, zlib.crc32(pixels.tobytes())):
            same += 1
        else:
            wrong.append((path, theirs.shape, str(theirs.dtype), ours))
    print(f"TIFF: {same} files the same as in tifffile {tifffile.__version__}")
    for reason, names in sorted(refused.items()):
        print(f"  refused ({len(names)}): {reason}: {', '.join(sorted(names)[:3])}{' …' * (len(names) > 3)}")
    for path in ours_only:
        print(f"  read here only: {path}")
    for case in wrong:
        print("  DIFFERENT:", *case)
    if wrong or same == 0:
        sys.exit("TIFF pixels differ from tifffile's")


def written(write_variants):
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([write_variants, folder], check=True)
        names = sorted(os.listdir(folder))
        for name in names:
            kind, dialect, _, size, planes = name.removesuffix(".tif").split("_")
            t, z, y, x = np.ogrid[:7, : int(planes), :12, :20]
            expected = (31 * t + 17 * z + 7 * y + 3 * x) % 101
            with tifffile.TiffFile(os.path.join(folder, name)) as tif:
                found = [tif.is_imagej, tif.is_ome, tif.is_scanimage, tif.is_bigtiff]
                assert found == [*(dialect == d for d in ("ImageJ", "Ome", "ScanImage")), size == "big"], name
                pixels = np.stack([page.asarray() for page in tif.pages]).reshape(expected.shape)
                assert str(pixels.dtype) == kind and (pixels == expected).all(), name
                if dialect in ("ImageJ", "Ome"):
                    series = tif.series[0].asarray()
                    assert series.shape == tuple(n for n in expected.shape if n > 1), (name, series.shape)
                    assert (series.reshape(expected.shape) == expected).all(), name
    print(f"TIFF: {len(names)} written files are the same in tifffile {tifffile.__version__}")


# -------------------------------------------------------------------- speed

PEERS = {
    "tifffile.imread": "import tifffile\nt = clock()\nx = tifffile.imread(path)\ns = int(x.sum(dtype='i8'))",
    "tifffile.imread, all threads": (
        "import os, tifffile\nt = clock()\nx = tifffile.imread(path, maxworkers=os.cpu_count())\ns = int(x.sum(dtype='i8'))"
    ),
    "tifffile.memmap": "import tifffile\nt = clock()\nx = tifffile.memmap(path, mode='r')\ns = int(x.sum(dtype='i8'))",
    "ScanImageTiffReader": (
        "from ScanImageTiffReader import ScanImageTiffReader\nt = clock()\n"
        "with ScanImageTiffReader(path) as f: x = f.data()\ns = int(x.sum(dtype='i8'))"
    ),
    "tifffile pages[-1]": (
        "import tifffile\nt = clock()\nwith tifffile.TiffFile(path) as f: s = int(f.pages[-1].asarray().sum(dtype='i8'))"
    ),
}


def peer(code, path):
    program = f"import json, time\nclock = time.perf_counter\npath = {path!r}\n{code}\nprint(json.dumps([clock() - t, s]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def ours(scan, path, mode):
    done = subprocess.run([scan, path, mode], capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)
    return [line["seconds"], line["sum"], line["resident_kib"]]


def make(folder):
    """The stacks: name → path. Noise on structure, so that codecs have something to do."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:512, :512]
    still = 400 + 300 * np.sin(x / 17) * np.cos(y / 23)
    base = [(still + rng.normal(0, 20 + np.sqrt(still.clip(0)), still.shape)).astype(np.int16) for _ in range(64)]

    def write(name, frames, bigtiff=False, **options):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with tifffile.TiffWriter(path + ".new", bigtiff=bigtiff) as tif:
                for k in range(frames):
                    page = np.roll(base[k % 64], k, 0) if "side" not in options else base[k % 64][:64, :64]
                    text = f"frameNumbers = {k + 1}\nframeTimestamps_sec = {k / 30:.9f}"
                    extra = {key: value for key, value in options.items() if key != "side"}
                    tif.write(page, contiguous=False, metadata=None, description=text, **extra)
            os.rename(path + ".new", path)
        return path

    contiguous = os.path.join(folder, "contiguous.tif")
    if not os.path.exists(contiguous):
        tifffile.imwrite(contiguous + ".new", np.stack([np.roll(base[k % 64], k, 0) for k in range(2100)]))
        os.rename(contiguous + ".new", contiguous)
    return {
        "pages": write("pages.tif", 2100),
        "contiguous": contiguous,
        "many": write("many.tif", 100_000, bigtiff=True, side=64),
        "deflate": write("deflate.tif", 400, compression="adobe_deflate"),
        "LZW": write("lzw.tif", 400, compression="lzw"),
        "zstd": write("zstd.tif", 400, compression="zstd"),
        "deflate, differences": write("deflate_predictor.tif", 400, compression="adobe_deflate", predictor=True),
    }


def speed(scan, folder, repeats):
    stacks = make(folder)
    cases = [("pages", "view", ["tifffile.imread", "ScanImageTiffReader"])]
    cases.append(("pages", "native", ["tifffile.imread", "ScanImageTiffReader"]))
    cases.append(("contiguous", "view", ["tifffile.imread", "tifffile.memmap"]))
    cases.append(("many", "last", ["tifffile pages[-1]"]))
    cases += [(name, "native", ["tifffile.imread, all threads"]) for name in stacks if name not in ("pages", "contiguous", "many")]
    versions = {name: metadata.version(name) for name in ("tifffile", "imagecodecs", "numpy")}
    print(f"{os.cpu_count()} threads; {', '.join(f'{name} {version}' for name, version in versions.items())}")
    print(f"{'stack':22}{'read as':9}{'fluorspar s':>12}{'GB/s':>7}{'MiB':>6}  peers: seconds (times ours)")
    for name, mode, peers in cases:
        path = stacks[name]
        times = {key: [] for key in ("ours", "floor", *peers)}
        for _ in range(repeats):
            mine = ours(scan, path, mode)
            times["ours"].append(mine[0])
            if mode == "view":
                times["floor"].append(ours(scan, path, "floor")[0])
            for key in peers:
                answer = peer(PEERS[key], path)
                if answer is None:
                    continue
                assert answer[1] == mine[1], f"{key} adds up {path} to {answer[1]}, not {mine[1]}"
                times[key].append(answer[0])
            time.sleep(0.1)
        median = {key: statistics.median(value) for key, value in times.items() if value}
        rate = os.path.getsize(path) / 1e9 / median["ours"]
        others = [f"{key} {value:.4f} ({value / median['ours']:.1f}×)" for key, value in median.items() if key != "ours"]
        rate_text = f"{rate:.1f}" if mode != "last" else ""
        print(f"{name:22}{mode:9}{median['ours']:12.4f}{rate_text:>7}{mine[2] // 1024:6}  {'; '.join(others)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("agree")
    one.add_argument("describe")
    one.add_argument("paths", nargs="+")
    three = commands.add_parser("written")
    three.add_argument("write_variants")
    two = commands.add_parser("speed")
    two.add_argument("scan")
    two.add_argument("folder")
    two.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.command == "agree":
        agree(options.describe, options.paths)
    elif options.command == "written":
        written(options.write_variants)
    else:
        speed(options.scan, options.folder, options.repeats)


if __name__ == "__main__":
    main()
