"""fluorspar-zarr beside zarr-python and tensorstore.

    zarr_stores.py speed ZARR_SPEED [--movie MOVIE.tif|.npy] [--frames 512] [--repeats 5]
    zarr_stores.py agree ZARR_SPEED [--data FOLDER] [--every N]

ZARR_SPEED is the built example `zarr_speed` of the crate (target/release/examples).
`speed` writes and reads the same movie with the same codec, chunks and shards, in
turns, and prints the median of each and the ratios of medians. `agree` compares
pixels over a matrix of types, codecs, chunks and shards, both ways, and on the real
arrays below FOLDER; exits with an error if any differ.

Needs: pip install 'zarr>=3' tensorstore numpy (and tifffile for a TIFF movie).
"""
import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorstore as ts
import zarr
from zarr import codecs as zc

warnings.filterwarnings("ignore")
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
CRC = {"name": "crc32c"}


def ours(program, *arguments):
    """Standard output of the example, or the reason it gave."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True)
    if done.returncode == 0:
        return done.stdout, None
    return None, done.stderr.decode().strip()


# ---- speed ----


def codec_list(name, itemsize):
    """What `zarr_speed` writes for a codec, as v3 metadata."""
    compressor = {
        "none": [],
        "blosc": [{"name": "blosc", "configuration": {
            "cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "typesize": itemsize, "blocksize": 0}}],
        "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
        "gzip": [{"name": "gzip", "configuration": {"level": 1}}],
    }[name]
    return [LITTLE, *compressor, CRC]


def spec(path, data, codec, shard, chunk, sync):
    inner = codec_list(codec, data.dtype.itemsize)
    sharding = {"name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk, "codecs": inner, "index_codecs": [LITTLE, CRC]}}
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(path), "file_io_sync": sync},
        "metadata": {
            "shape": list(data.shape), "data_type": str(data.dtype), "codecs": [sharding],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        },
        "create": True, "delete_existing": True,
    }


def timed(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def speed(args):
    if args.movie and args.movie.suffix == ".npy":
        data = np.ascontiguousarray(np.load(args.movie, mmap_mode="r")[: args.frames])
    elif args.movie:
        import tifffile
        data = np.ascontiguousarray(tifffile.imread(args.movie, key=range(args.frames)))
    else:
        rng = np.random.default_rng(1)
        y, x = np.mgrid[:512, :512]
        scene = 300 + 200 * np.sin(y / 17) * np.cos(x / 23)
        data = np.stack([rng.poisson(scene) for _ in range(args.frames)]).astype(np.int16)
    frames, height, width = data.shape
    shape = f"{frames},1,{height},{width}"
    shard, chunk = [64, height, width], [args.chunk, height, width]
    print(f"zarr {version('zarr')}, tensorstore {version('tensorstore')}, numpy {np.__version__}; "
          f"{data.dtype} {data.shape}, {data.nbytes / 1e6:.0f} MB, shards of {shard[0]} frames, chunks of {chunk[0]}")
    print("| codec | what | fluorspar GB/s | tensorstore | zarr-python | × tensorstore | × zarr-python |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        raw = folder / "movie.raw"
        data.tofile(raw)
        for codec in args.codecs.split(","):
            seconds = {}

            def note(who, what, value):
                seconds.setdefault((who, what), []).append(value)

            paths = {who: folder / f"{who}.zarr" for who in ("ours", "ts", "zp")}
            compressors = {
                "none": [zc.Crc32cCodec()],
                "blosc": [zc.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=2), zc.Crc32cCodec()],
                "zstd": [zc.ZstdCodec(level=1), zc.Crc32cCodec()],
                "gzip": [zc.GzipCodec(level=1), zc.Crc32cCodec()],
            }[codec]
            for repeat in range(args.repeats + 1):
                for path in paths.values():
                    shutil.rmtree(path, ignore_errors=True)
                out, reason = ours(args.program, "write", raw, data.dtype, shape, paths["ours"], codec, 64, args.chunk)
                assert out, reason
                results = [("ours", "write", float(out))]
                write = lambda: ts.open(spec(paths["ts"], data, codec, shard, chunk, True)).result().write(data).result()
                results.append(("ts", "write", timed(write)[0]))

                def write():
                    array = zarr.create_array(paths["zp"], shape=data.shape, dtype=data.dtype, shards=tuple(shard),
                                              chunks=tuple(chunk), compressors=compressors)
                    array[:] = data
                results.append(("zp", "write", timed(write)[0]))
                # Everybody reads the same bytes: what fluorspar wrote.
                movie = paths["ours"]
                out, reason = ours(args.program, "read", movie)
                assert out, reason
                results.append(("ours", "read", float(out)))
                opened = lambda: ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(movie)}}).result()
                took, got = timed(lambda: opened().read().result())
                results.append(("ts", "read", took))
                assert (got == data).all()
                took, got = timed(lambda: zarr.open_array(movie, mode="r")[:])
                results.append(("zp", "read", took))
                assert (got == data).all()
                out, _ = ours(args.program, "frame", movie)
                results.append(("ours", "one frame", float(out)))
                results.append(("ts", "one frame", timed(lambda: opened()[frames // 2].read().result())[0]))
                results.append(("zp", "one frame", timed(lambda: zarr.open_array(movie, mode="r")[frames // 2])[0]))
                if repeat > 0:  # the first round warms up
                    for result in results:
                        note(*result)
            for what in ("write", "read", "one frame"):
                median = {who: statistics.median(seconds[who, what]) for who in ("ours", "ts", "zp")}
                size = data.nbytes / (frames if what == "one frame" else 1) / 1e9
                print(f"| {codec} | {what} | {size / median['ours']:.2f} | {size / median['ts']:.2f} | "
                      f"{size / median['zp']:.2f} | {median['ts'] / median['ours']:.2f} | "
                      f"{median['zp'] / median['ours']:.2f} |")
        print("\nchunking and access (fluorspar, blosc): seconds for all, one frame, one pixel through all frames")
        for label, chunking in (("whole frames, 4 a chunk", ("64", "4")), ("whole frames, 16", ("64", "16")),
                                ("tiles 64, 64 frames", ("64", "64", "64")), ("tiles 128, 64 frames", ("64", "64", "128")),
                                ("tiles 256, 16 frames", ("64", "16", "256"))):
            path = folder / "tiles.zarr"
            shutil.rmtree(path, ignore_errors=True)
            ours(args.program, "write", raw, data.dtype, shape, path, "blosc", *chunking)
            size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
            best = [min(float(ours(args.program, what, path)[0]) for _ in range(args.repeats))
                    for what in ("read", "frame", "pixel")]
            print(f"  {label:24} {best[0]:.3f} {best[1]:.4f} {best[2]:.4f}   ratio {data.nbytes / size:.3f}")


# ---- agreement ----

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
SHAPE = (7, 3, 33, 21)
CHUNKS = [(7, 3, 33, 21), (2, 1, 16, 8), (3, 3, 33, 5), (1, 3, 40, 21)]
SHARDS = [None, (4, 3, 32, 16), (8, 4, 48, 24)]


def samples(dtype, seed=3):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(size=SHAPE).astype(dtype)
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, size=SHAPE, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)


class Tally:
    def __init__(self):
        self.equal, self.refused, self.wrong = 0, {}, []

    def check(self, label, data, got, reason):
        if got is None:
            self.refused.setdefault(reason.rsplit(": ", 1)[-1], []).append(label)
        elif got == np.ascontiguousarray(data).astype(data.dtype.newbyteorder("=")).tobytes():
            self.equal += 1
        else:
            self.wrong.append(label)

    def report(self, title):
        print(f"{title}: {self.equal} equal, {sum(map(len, self.refused.values()))} refused, {len(self.wrong)} differ")
        for reason, labels in sorted(self.refused.items()):
            print(f"    refused: {reason} ({len(labels)}, such as {labels[0]})")
        for label in self.wrong:
            print(f"    DIFFERS: {label}")
        return not self.wrong


def v3_compressors(itemsize):
    blosc = lambda cname, shuffle: zc.BloscCodec(cname=cname, clevel=3, shuffle=shuffle, typesize=itemsize)
    yield "none", None
    for cname, shuffle in itertools.product(("lz4", "zstd", "blosclz", "zlib", "lz4hc"), ("noshuffle", "shuffle", "bitshuffle")):
        yield f"blosc {cname} {shuffle}", [blosc(cname, shuffle)]
    yield "zstd", [zc.ZstdCodec(level=3)]
    yield "zstd checksum", [zc.ZstdCodec(level=3, checksum=True)]
    yield "gzip", [zc.GzipCodec(level=3)]
    yield "crc32c", [zc.Crc32cCodec()]
    yield "gzip, zstd, crc32c", [zc.GzipCodec(level=1), zc.ZstdCodec(level=1), zc.Crc32cCodec()]


def some(combinations):
    """Every nth of them, as asked for."""
    return itertools.islice(combinations, None, None, args.every)


def theirs_v3(program, folder):
    tally = Tally()
    for dtype, chunk, shard in some(itertools.product(TYPES, CHUNKS, SHARDS)):
        if shard and any(s % c for s, c in zip(shard, chunk)):
            continue
        data = samples(dtype)
        for name, compressors in v3_compressors(data.dtype.itemsize):
            path = folder / "a.zarr"
            shutil.rmtree(path, ignore_errors=True)
            array = zarr.create_array(path, shape=SHAPE, dtype=dtype, chunks=chunk, shards=shard, compressors=compressors,
                                      dimension_names=list("tzyx"), fill_value=1)
            array[:] = data
            tally.check(f"{dtype} {name} chunk {chunk} shard {shard}", data, *ours(program, "cat", path))
    for dtype, endian, order, key in some(itertools.product(
            ("int16", "float64"), ("little", "big"), ([3, 1, 0, 2], [3, 2, 1, 0]),
            (("default", "."), ("default", "/"), ("v2", "."), ("v2", "/")))):
        data = samples(dtype)
        path = folder / "a.zarr"
        shutil.rmtree(path, ignore_errors=True)
        array = zarr.create_array(
            path, shape=SHAPE, dtype=dtype, chunks=CHUNKS[1], filters=[zc.TransposeCodec(order=order)],
            serializer=zc.BytesCodec(endian=endian), compressors=[zc.ZstdCodec()],
            chunk_key_encoding={"name": key[0], "separator": key[1]})
        array[:] = data
        tally.check(f"{dtype} {endian} transposed {order} keys {key}", data, *ours(program, "cat", path))
    return tally.report("zarr-python v3 → fluorspar")


def theirs_v2(program, folder):
    import numcodecs
    tally = Tally()
    compressors = [None, numcodecs.Zstd(), numcodecs.GZip(), numcodecs.Zlib(), numcodecs.Blosc("lz4", 5, 1), numcodecs.Blosc("zstd", 3, 2),
                   numcodecs.Blosc("blosclz", 3, 0), numcodecs.LZ4(), numcodecs.BZ2()]
    for name, byteorder, chunk, order, separator, compressor in some(itertools.product(
            TYPES, "<>", CHUNKS, "CF", "./", compressors)):
        dtype = np.dtype(name).newbyteorder(byteorder)
        data = samples(dtype)
        path = folder / "a.zarr"
        shutil.rmtree(path, ignore_errors=True)
        array = zarr.create_array(path, shape=SHAPE, dtype=dtype, chunks=chunk, zarr_format=2, order=order, fill_value=1,
                                  compressors=compressor, chunk_key_encoding={"name": "v2", "separator": separator})
        array[:] = data
        tally.check(f"{dtype.str} {compressor} chunk {chunk} order {order} keys {separator}", data, *ours(program, "cat", path))
    return tally.report("zarr-python v2 → fluorspar")


def tensorstores(program, folder):
    tally = Tally()
    path = folder / "a.zarr"
    kvstore = {"driver": "file", "path": str(path)}
    for dtype, chunk, shard in some(itertools.product(TYPES, CHUNKS, SHARDS)):
        if shard and any(s % c for s, c in zip(shard, chunk)):
            continue
        data = samples(dtype)
        for codec in ("none", "blosc", "zstd", "gzip"):
            inner = codec_list(codec, data.dtype.itemsize)
            for location in ("start", "end") if shard else ("",):
                sharding = {"name": "sharding_indexed", "configuration": {
                    "chunk_shape": chunk, "codecs": inner, "index_codecs": [LITTLE, CRC], "index_location": location}}
                array = ts.open({"driver": "zarr3", "kvstore": kvstore, "create": True, "delete_existing": True, "metadata": {
                    "shape": SHAPE, "data_type": dtype, "codecs": [sharding] if shard else inner, "dimension_names": list("tzyx"),
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard or chunk}}}}).result()
                array.write(data).result()
                tally.check(f"v3 {dtype} {codec} chunk {chunk} shard {shard} {location}", data, *ours(program, "cat", path))
        for compressor in (None, {"id": "zlib", "level": 1}, {"id": "zstd", "level": 1},
                           {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 2}):
            array = ts.open({"driver": "zarr", "kvstore": kvstore, "create": True, "delete_existing": True, "metadata": {
                "shape": SHAPE, "dtype": data.dtype.str, "chunks": chunk, "compressor": compressor}}).result()
            array.write(data).result()
            tally.check(f"v2 {dtype} {compressor} chunk {chunk}", data, *ours(program, "cat", path))
    return tally.report("tensorstore v2, v3 → fluorspar")


def back(program, folder):
    """What fluorspar writes, read by both."""
    good = True
    tallies = {"zarr-python": Tally(), "tensorstore": Tally()}
    for dtype, planes, codec, (shard, chunk), tile in some(itertools.product(
            TYPES, (1, 3), ("none", "blosc", "zstd", "gzip", "blosc+ome"), ((4, 2), (7, 7), (3, 1), (16, 4)), ((), (8,), (16,)))):
        data = samples(dtype)[:, :planes]
        raw, path = folder / "raw", folder / "b.zarr"
        data.tofile(raw)
        shape = ",".join(map(str, data.shape))
        out, reason = ours(program, "write", raw, dtype, shape, path, codec, shard, chunk, *tile)
        assert out, reason
        array = path / "0" if codec.endswith("+ome") else path
        label = f"{dtype} {codec} planes {planes} shard {shard} chunk {chunk} tile {tile}"
        if codec.endswith("+ome"):
            got = zarr.open_group(path, mode="r", use_consolidated=True)["0"][:]
        else:
            got = zarr.open_array(array, mode="r")[:]
        tallies["zarr-python"].check(label, data, got.tobytes(), None)
        got = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(array)}}).result().read().result()
        tallies["tensorstore"].check(label, data, got.tobytes(), None)
    for who, tally in tallies.items():
        good &= tally.report(f"fluorspar → {who}")
    return good


def real(program, data):
    """Every array below a folder that zarr-python opens and whose elements are numbers."""
    tally, theirs = Tally(), {}
    files = sorted(f for name in ("zarr.json", ".zarray") for f in data.rglob(name))
    for file in files:
        folder = file.parent
        label = str(folder.relative_to(data))
        # As a member of a group: any number of axes.
        with tempfile.TemporaryDirectory() as group:
            (Path(group) / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
            (Path(group) / "a").symlink_to(folder.resolve())
            out, reason = ours(program, "cat", group, "a")
        try:
            array = zarr.open_array(folder, mode="r")
            if not array.shape:
                continue
            expected = array[:]
            assert expected.dtype.kind in "iuf", f"elements of type {expected.dtype}"
        except Exception as error:
            verdict = reason.rsplit(": ", 1)[-1] if out is None else "reads it"
            theirs.setdefault(f"{type(error).__name__} / {verdict}", []).append(label)
            continue
        tally.check(label, expected, out, reason)
    good = tally.report(f"real arrays below {data.name}")
    for reason, labels in sorted(theirs.items()):
        print(f"    not compared (zarr-python / fluorspar): {reason} ({len(labels)}, such as {labels[0]})")
    return good


def agree(args):
    print(f"zarr {version('zarr')}, tensorstore {version('tensorstore')}, numcodecs {version('numcodecs')}")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        good = [part(args.program, folder) for part in (back, theirs_v3, theirs_v2, tensorstores)]
    if args.data:
        good.append(real(args.program, args.data))
    sys.exit(not all(good))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(required=True)
command = commands.add_parser("speed")
command.set_defaults(run=speed)
command.add_argument("program")
command.add_argument("--movie", type=Path, help="int16 TIFF or .npy; else photon noise over structure")
command.add_argument("--frames", type=int, default=512)
command.add_argument("--chunk", type=int, default=4, help="frames in an inner chunk")
command.add_argument("--repeats", type=int, default=5)
command.add_argument("--codecs", default="none,blosc,zstd,gzip")
command.add_argument("--folder", help="where the stores are written (default: the system's temporary folder)")
command = commands.add_parser("agree")
command.set_defaults(run=agree)
command.add_argument("program")
command.add_argument("--data", type=Path)
command.add_argument("--every", type=int, default=1, help="try only every nth combination")
args = parser.parse_args()
args.run(args)
