"""Place codes of two mice over two weeks: agreement of the example linear_track
with an independent computation in NumPy, and the pictures of docs/drift-real-data.md.

    linear_track.py TARGET_DIR OUT [PICTURES]

TARGET_DIR holds the built examples; the recordings lie in
$FLUORSPAR_TEST_DATA/longitudinal. OUT receives the tensors, PICTURES (if given)
the SVG files. Exits with an error at the first disagreement; does nothing
without the recordings.
"""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

MICE = ("C6_M4", "C7_M4")
DIRECTIONS = ("forward", "backward")
PLACES, FIRST, LAST = 24, 2, 22


def recordings(mouse):
    number = 1
    while (path := DATA / f"{mouse}_A_session_{number}.npz").exists():
        yield np.load(path)
        number += 1


def smoothed_speed(velocity, trial, half=5):
    """Mean absolute velocity over 2 half + 1 frames of the same trial."""
    out = np.full(len(trial), np.nan)
    for t in np.unique(trial[trial > 0]):
        frames = np.flatnonzero(trial == t)
        assert np.array_equal(frames, np.arange(frames[0], frames[-1] + 1)), "a trial in pieces"
        ones = np.ones(2 * half + 1)
        speed = np.abs(velocity[frames].astype(float))
        out[frames] = np.convolve(speed, ones, "same") / np.convolve(np.ones(len(frames)), ones, "same")
    return out


def rates(recording):
    """For each direction (traversal, cell, place) events per second, and the trial of each."""
    trial = recording["trial"].astype(int)
    place = np.clip(np.floor(recording["position"].astype(float) * PLACES), 0, PLACES - 1)
    fast = smoothed_speed(recording["velocity"], trial) > 1
    events = np.zeros((len(trial), int(recording["n_rois"])))
    np.add.at(events, (recording["event_frame"], recording["event_cell"]), recording["event_value"])
    events = events[:, recording["cell"] >= 0]
    found = ([], [])
    for t in np.unique(trial[trial > 0]):
        frames = np.flatnonzero(trial == t)
        end = np.select([place[frames] < FIRST, place[frames] >= LAST], [-1, 1], 0)
        at_end = np.flatnonzero(end)
        for a, b in zip(at_end[:-1], at_end[1:]):
            if end[a] == end[b]:
                continue
            run = frames[a:b]
            run = run[fast[run] & (place[run] >= FIRST) & (place[run] < LAST)]
            which = place[run][None] == np.arange(FIRST, LAST)[:, None]
            if which.any(1).all():
                rate = (which @ events[run]) / which.sum(1, keepdims=True)
                found[int(end[a] > 0)].append((t, rate.T * float(recording["frame_rate"])))
    return [(np.array([r for _, r in runs]), np.array([t for t, _ in runs])) for runs in found]


def trio(maps, cells, days):
    """The three correlations, means over pairs equally far apart."""
    rows = {}
    for i in range(len(maps)):
        for j in range(i + 1, len(maps)):
            _, a, b = np.intersect1d(cells[i], cells[j], return_indices=True)
            x, y = maps[i][a], maps[j][b]
            active = (x.sum(1) > 0) & (y.sum(1) > 0)
            x, y = x[active], y[active]
            columns = [np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(x.shape[1])]
            curves = [np.corrcoef(p, q)[0, 1] for p, q in zip(x, y)]
            rate = np.corrcoef(x.sum(1), y.sum(1))[0, 1]
            rows.setdefault(days[j] - days[i], []).append([np.mean(columns), np.nanmean(curves), rate])
    return {days: np.mean(r, 0) for days, r in rows.items()}


def example(mouse, out):
    """Tables printed by the example: for each direction a dict of lists of rows."""
    command = [str(TARGET / "examples" / "linear_track"), mouse, str(out)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    directions = []
    for line in text.splitlines():
        if line.startswith("#"):
            directions.append({})
        elif line.startswith(("session,", "relation,", "days,")):
            table = directions[-1].setdefault(line.split(",")[0], [])
        else:
            table.append(line.split(","))
    return directions


def agree(mouse, out, tables):
    worst = 0.0
    sessions = list(recordings(mouse))
    ours = [rates(s) for s in sessions]
    cells = [s["cell"][s["cell"] >= 0] for s in sessions]
    days = [int(s["day"]) for s in sessions]
    for d, direction in enumerate(DIRECTIONS):
        for number, session in enumerate(ours):
            theirs = np.load(out / direction / f"session-{number + 1:02}.npz")
            activity, trial = session[d]
            assert np.array_equal(theirs["cell"], cells[number])
            assert np.array_equal(theirs["label_trial"], trial), (mouse, direction, number)
            difference = np.abs(theirs["activity"] - activity) / activity.max()
            assert difference.max() < 1e-6, (mouse, direction, number, difference.max())
        expected = trio([s[d][0].mean(0) for s in ours], cells, days)
        for row in tables[d]["days"]:
            worst = max(worst, np.abs(np.array(row[1:4], float) - expected[int(row[0])]).max())
    assert worst < 1e-4, worst  # printed with four digits
    print(f"{mouse}: rates of {len(sessions)} sessions equal, worst difference of the three correlations {worst:.0e}")


def pictures(everything, out, folder):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "fluorspar", "svg.fonttype": "none", "font.size": 8})
    save = {"metadata": {"Date": None}, "bbox_inches": "tight"}
    # Traversal by traversal, sessions with a switch and one without.
    shown = [("C7_M4", 1), ("C7_M4", 2), ("C7_M4", 4), ("C7_M4", 5), ("C7_M4", 6), ("C6_M4", 3)]
    figure, axes = plt.subplots(1, len(shown), figsize=(10, 2))
    for axis, (mouse, number) in zip(axes, shown):
        session = np.load(out / mouse / "backward" / f"session-{number:02}.npz")
        activity = session["activity"].astype(float)
        centred = activity - activity.mean(1, keepdims=True)
        length = np.sqrt((centred**2).sum(1, keepdims=True))
        unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
        similarity = np.tensordot(unit, unit, ([1, 2], [1, 2])) / activity.shape[2]
        np.fill_diagonal(similarity, np.nan)
        axis.imshow(similarity, vmin=0, vmax=0.4, interpolation="nearest")
        for k in np.flatnonzero(np.diff(session["label_trial"])):
            axis.axhline(k + 0.5, color="w", lw=0.4)
            axis.axvline(k + 0.5, color="w", lw=0.4)
        axis.set(title=f"{mouse[:2]} day {int(session['day'])}", xticks=[], yticks=[])
        numbers = session["label_map"]
        edges = np.r_[0, np.flatnonzero(np.diff(numbers)) + 1, len(numbers)]
        for a, b in zip(edges[:-1], edges[1:]):
            place = ([a - 0.5, b - 0.5], [len(numbers) + 1] * 2)
            axis.plot(*place, color=("C0", "C1")[numbers[a] - 1], lw=3, clip_on=False, solid_capstyle="butt")
    figure.savefig(folder / "drift-real-traversals.svg", **save)
    # Same map, different maps, mixture against days.
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True)
    for axis, (mouse, d) in zip(axes, [(m, d) for m in MICE for d in (0, 1)]):
        for relation, colour in (("same map", "C0"), ("mixture", "0.5"), ("different maps", "C3")):
            rows = np.array([r[1:] for r in everything[mouse][d]["relation"] if r[0] == relation], float)
            axis.plot(rows[:, 0], rows[:, 2], "o-", color=colour, ms=3, label=relation)
            axis.vlines(rows[:, 0], rows[:, 3], rows[:, 4], color=colour, lw=0.6)
        axis.set(title=f"{mouse[:2]} {DIRECTIONS[d]}", xlabel="elapsed days", ylim=(-0.1, 1))
    axes[0].set_ylabel("corrected similarity")
    axes[1].legend(frameon=False, loc=(0.35, 0.2))
    figure.savefig(folder / "drift-real-maps.svg", **save)


if __name__ == "__main__":
    TARGET = Path(sys.argv[1])
    DATA = Path(os.environ.get("FLUORSPAR_TEST_DATA", "missing")) / "longitudinal"
    if not DATA.exists():
        print("no recordings: FLUORSPAR_TEST_DATA is not set or lacks longitudinal/")
        sys.exit()
    root = Path(sys.argv[2])
    everything = {}
    for mouse in MICE:
        everything[mouse] = example(mouse, root / mouse)
        agree(mouse, root / mouse, everything[mouse])
    if len(sys.argv) > 3:
        pictures(everything, root, Path(sys.argv[3]))
