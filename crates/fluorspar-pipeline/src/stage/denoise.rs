use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fluorspar_denoise::{Blocks, Denoiser, Parameters, residual};
use fluorspar_movie::{Budget, Movie, MovieShape, Plane, silent};
use fluorspar_zarr::MovieReader;
use serde_json::json;

use crate::artefact::{Provenance, join_planes, write_lowrank};
use crate::error::Context;
use crate::pieces::Pieces;
use crate::seal::Seal;
use crate::{Error, Observer, config, disk};

/// `registered.zarr` → `lowrank.zarr`, with maps of what was thrown away.
///
/// Planes of a volume are denoised one by one, so that one of them is held in
/// memory and no other is read.
pub(crate) fn denoise(
    config: &config::Denoise,
    seed: u64,
    frame_rate: f64,
    folder: &Path,
    budget: Budget,
    kept: &Pieces<'_>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let registered = folder.join("registered.zarr");
    let movie = MovieReader::open(&registered).at(registered.display())?;
    let work = Work {
        parameters: Parameters {
            blocks: Blocks {
                planes: 1,
                side: config.block,
            },
            seed,
            ..Parameters::default()
        },
        frame_rate,
        budget,
    };
    let target = folder.join("lowrank.zarr");
    let shape = movie.shape();
    if shape.planes == 1 {
        let progress = |frames| observer.advance(frames);
        return work.fit(&movie, &target, kept, &progress);
    }
    let all = Frames::new(shape, observer);
    let mut planes: Vec<PathBuf> = Vec::new();
    for plane in 0..shape.planes {
        let alone = Plane::new(&movie, plane).at(registered.display())?;
        let name = format!("plane-{plane:03}");
        let path = kept.path(&format!("{name}.zarr"));
        let done: Option<Seal> = kept.get(&name)?;
        if done.is_some_and(|seal| Seal::of(&path).is_ok_and(|found| found == seal)) {
            all.advance(shape.frames as u64);
        } else {
            let below = kept.below(&name);
            disk::remove_leftovers_of(&path)?;
            work.fit(&alone, &path, &below, &|frames| all.advance(frames))?;
            kept.put(&name, &Seal::of(&path)?)?;
            below.clear()?;
        }
        planes.push(path);
    }
    let blocks_each = work.denoiser()?.blocks(MovieShape { planes: 1, ..shape });
    join_planes(&target, &planes, blocks_each, &work.provenance())
}

/// What all planes have in common.
struct Work {
    parameters: Parameters,
    frame_rate: f64,
    budget: Budget,
}

impl Work {
    fn denoiser(&self) -> Result<Denoiser, Error> {
        Denoiser::new(self.parameters.clone()).at("denoising")
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            parameters: &self.parameters,
            input: json!({ "files": ["registered.zarr"] }),
        }
    }

    /// Denoises `movie` into `target`.
    fn fit(
        &self,
        movie: &dyn Movie,
        target: &Path,
        kept: &Pieces<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let lowrank = self
            .denoiser()?
            .fit_resumable(movie, self.budget, kept, progress)
            .at("denoising")?
            .with_frame_rate(self.frame_rate);
        let left = residual(movie, &lowrank, self.budget, &silent).at("denoising")?;
        write_lowrank(target, &lowrank, &self.provenance(), Some(&left))
    }
}

/// Tells of frames as their planes go by.
struct Frames<'a> {
    planes: u64,
    seen: AtomicU64,
    observer: &'a dyn Observer,
}

impl<'a> Frames<'a> {
    fn new(shape: MovieShape, observer: &'a dyn Observer) -> Self {
        Self {
            planes: shape.planes as u64,
            seen: AtomicU64::new(0),
            observer,
        }
    }

    fn advance(&self, images: u64) {
        let before = self.seen.fetch_add(images, Ordering::Relaxed);
        let whole = (before + images) / self.planes - before / self.planes;
        if whole > 0 {
            self.observer.advance(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefact::{StoredLowRank, read_lowrank};
    use fluorspar_movie::{MovieSink, PixelType};
    use fluorspar_zarr::MovieWriter;

    const SHAPE: MovieShape = MovieShape::new(90, 3, 40, 36);

    /// Planes with signals of their own, in noise.
    fn volumes(folder: &Path) -> MovieReader {
        let path = folder.join("registered.zarr");
        let mut state = 1_u64;
        let mut noise = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 20) as f32 - 8.0
        };
        let mut values = Vec::new();
        for t in 0..SHAPE.frames {
            for plane in 0..SHAPE.planes {
                let signal = (t as f32 / (4.0 + 3.0 * plane as f32)).sin();
                for y in 0..SHAPE.height {
                    for x in 0..SHAPE.width {
                        let near =
                            (y as f32 - 20.0).hypot(x as f32 - 10.0 - 8.0 * plane as f32) < 5.0;
                        let value = if near { 300.0 + 40.0 * signal } else { 100.0 };
                        values.push(value + noise());
                    }
                }
            }
        }
        let mut writer = MovieWriter::create(&path, SHAPE, PixelType::I16, None).unwrap();
        writer.write(0, &values).unwrap();
        Box::new(writer).finish().unwrap();
        MovieReader::open(&path).unwrap()
    }

    fn run(folder: &Path, pieces: &Pieces<'_>) {
        let config = config::Denoise::default();
        let budget = Budget { bytes: 64 << 20 };
        denoise(&config, 5, 10.0, folder, budget, pieces, &()).unwrap();
    }

    #[test]
    fn planes_of_a_volume_are_denoised_as_if_each_were_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let movie = volumes(folder);
        let pieces = Pieces::new(folder.join("pieces"), "a", &());
        run(folder, &pieces);
        let path = folder.join("lowrank.zarr");
        let first = Seal::of(&path).unwrap();
        let whole = read_lowrank(&path).unwrap();
        let stored = StoredLowRank::open(&path).unwrap();
        let denoiser = Denoiser::new(Parameters {
            blocks: Blocks {
                planes: 1,
                side: config::Denoise::default().block,
            },
            seed: 5,
            ..Parameters::default()
        })
        .unwrap();
        let (mut rank, mut block) = (0, 0);
        let each = denoiser.blocks(MovieShape { planes: 1, ..SHAPE }) as u32;
        for plane in 0..SHAPE.planes {
            let alone = Plane::new(&movie, plane).unwrap();
            let alone = denoiser.fit(&alone, Budget::default(), &silent).unwrap();
            assert!(alone.rank() > 0);
            let found = stored.plane(plane).unwrap();
            assert_eq!(found.v(), alone.v());
            assert_eq!((found.mean(), found.noise()), (alone.mean(), alone.noise()));
            assert_eq!(found.parts().u_weights, alone.parts().u_weights);
            let blocks = &whole.parts().component_block[rank..rank + alone.rank()];
            let expected = alone.parts().component_block.iter().map(|b| b + block);
            assert!(blocks.iter().copied().eq(expected));
            rank += alone.rank();
            block += each;
        }
        assert_eq!(whole.rank(), rank);
        // From what is kept, though one plane is damaged.
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::remove_dir_all(pieces.path("plane-001.zarr").join("v")).unwrap();
        run(folder, &pieces);
        assert_eq!(Seal::of(&path).unwrap(), first);
    }
}
