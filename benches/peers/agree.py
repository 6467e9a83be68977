"""Agreement of fluorspar with the Python programs of the field.

    agree.py TARGET_DIR DEMO_OUT

TARGET_DIR holds the built examples, DEMO_OUT a finished demo. Exits with an
error at the first disagreement.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import zarr
from oasis.oasis_methods import oasisAR1
from scipy.sparse import csr_array
from sklearn.svm import SVC

target, demo = Path(sys.argv[1]), Path(sys.argv[2])


def example(name, *arguments, text=None):
    command = [str(target / "examples" / name), *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def svm():
    rng = np.random.default_rng(1)
    worst = 0.0
    for features in (3, 40, 300):
        labels = np.arange(60) % 2
        x = rng.normal(size=(60, features)) + 0.4 * labels[:, None]
        text = "\n".join(",".join(map(repr, [int(l), *map(float, row)])) for l, row in zip(labels, x))
        ours = np.array(example("decode_agree", "svm", 1, text=text).split()[: len(labels)], float)
        theirs = -SVC(kernel="linear", C=1, tol=1e-9).fit(x, labels).decision_function(x)
        worst = max(worst, np.abs(ours - theirs).max())
    assert worst < 1e-3, worst
    print(f"scikit-learn SVC: worst decision difference {worst:.1e}")


def oasis():
    rng = np.random.default_rng(2)
    worst = 0.0
    for lam in (0.0, 0.3):
        spikes = rng.random(500) < 0.03
        c = np.zeros(500)
        for t in range(500):
            c[t] = 0.92 * c[t - 1] * (t > 0) + spikes[t]
        y = c + 0.2 * rng.normal(size=500)
        ours = example("agree_oasis", 0.92, lam, text="\n".join(map(repr, map(float, y)))).split()
        ours = np.array([line.split(",")[0] for line in ours], float)
        worst = max(worst, np.abs(ours - oasisAR1(y, 0.92, lam=lam)[0]).max())
    assert worst < 1e-8, worst
    print(f"oasis oasisAR1: worst calcium difference {worst:.1e}")


def files():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.zarr"
        example("write_movie", path)
        t, y, x = np.ogrid[:10, :32, :48]
        movie = zarr.open(str(path), mode="r")[:]
        assert movie.dtype == np.uint16 and np.array_equal(movie, (t * 31 + y * 7 + x) % 1000)
    print("zarr-python reads a movie")
    rois = zarr.open_group(str(demo / "session-01" / "rois.zarr"), mode="r")
    indptr, indices = rois["indptr"][:], rois["indices"][:]
    for name in ("F", "Fneu", "dff", "events"):
        assert rois[name].shape[0] == len(indptr) - 1 and rois[name].dtype == np.float32
    assert indptr[-1] == len(indices) == len(rois["weights"][:])
    assert indices.max() < rois.attrs["height"] * rois.attrs["width"]
    registered = zarr.open(str(demo / "session-01" / "registered.zarr"), mode="r")
    if isinstance(registered, zarr.Group):
        registered = next(registered[name] for name in registered.array_keys())
    frames = registered[:200].reshape(200, -1).astype(float)
    owners = np.bincount(indices, minlength=frames.shape[1])
    worst = 0.0
    for roi in range(len(indptr) - 1):
        part = slice(int(indptr[roi]), int(indptr[roi + 1]))
        own = owners[indices[part]] == 1
        weights = rois["weights"][part][own].astype(float)
        if weights.sum() > 0.1 * rois["weights"][part].sum():
            expected = frames[:, indices[part][own]] @ weights / weights.sum()
            worst = max(worst, np.abs(rois["F"][roi, :200] / expected - 1).max())
    assert worst < 1e-5, worst
    corrected, rest = rois["F_demixed"][:], rois["F0"][:]
    assert (rest > 0).all() and np.allclose((corrected - rest) / rest, rois["dff"][:], rtol=1e-4, atol=1e-4)
    print(f"F is the weighted mean over a ROI's own pixels, to {worst:.1e}; dF/F is (F_demixed - F0) / F0")
    tracks = zarr.open_group(str(demo / "tracks.zarr"), mode="r")
    assert tracks["roi_index"].dtype == np.int32 and tracks["roi_index"].shape == tracks["p_same"].shape
    print(f"zarr-python reads rois.zarr ({len(indptr) - 1} ROIs) and tracks.zarr")
    raw = demo / "raw" / "session-01" / "movie.tif"
    with tifffile.TiffFile(raw) as tif:
        frames, page = len(tif.pages), tif.pages[0]
        assert tif.is_scanimage and "frameTimestamps_sec" in page.description
        assert "SI.hRoiManager.scanFrameRate = 10" in page.software
        first, last = page.asarray(), tif.pages[frames - 1].asarray()
    assert first.dtype == np.int16
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.zarr"
        subprocess.run([str(target / "fluorspar"), "convert", "-q", str(raw), str(path)], check=True)
        movie = zarr.open(str(path), mode="r")
        assert movie.shape == (frames, *first.shape)
        assert np.array_equal(movie[0], first) and np.array_equal(movie[frames - 1], last)
    print(f"tifffile and zarr-python agree on {frames} frames")


def lowrank():
    """As docs/formats.md says, a low-rank movie becomes frames: those of `fluorspar convert`, and
    the raw ones but for noise."""
    raw = demo / "raw" / "session-01" / "movie.tif"
    with tempfile.TemporaryDirectory() as folder:
        path, frames = Path(folder) / "lowrank.zarr", Path(folder) / "frames.zarr"
        program = str(target / "fluorspar")
        subprocess.run([program, "denoise", "-q", str(raw), str(path)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "convert", "-q", str(path), str(frames)], check=True, stdout=subprocess.DEVNULL)
        group = zarr.open_group(str(path), mode="r")
        mean, v = group["mean"][:], group["v"]
        entries = (group["u_weights"][:], group["u_indices"][:], group["u_indptr"][:])
        u = csr_array(entries, shape=(mean.size, v.shape[0]))
        first, end = 20, 60
        ours = (u @ v[:, first:end]).T.reshape(-1, *mean.shape) + mean
        written = zarr.open(str(frames), mode="r")[first:end]
        noise, parameters = group["noise"][:], group.attrs["parameters"]
        assert group.attrs["frames"] == v.shape[1] and parameters["block_side"] == group.attrs["block_side"]
        assert group["residual_ratio"].ndim == 3
    worst = np.abs(ours[:, 0] - written).max() / np.median(noise)
    assert worst < 1e-3, worst
    left = (tifffile.imread(raw)[first:end] - ours[:, 0])[:, noise[0] > 0] / noise[0][noise[0] > 0]
    assert 0.7 < left.std() < 1.3, left.std()
    print(f"scipy rebuilds lowrank.zarr ({v.shape[0]} components): worst difference {worst:.1e} of the noise, "
          f"{left.std():.2f} of it left of the raw movie")


svm()
oasis()
files()
lowrank()
