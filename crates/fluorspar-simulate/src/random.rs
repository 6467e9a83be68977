use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What a random stream is for: no two uses share one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    Places = 1,
    Shapes,
    Tuning,
    Drift,
    Trials,
    Motion,
    Spikes,
    Neuropil,
    Texture,
    Field,
    States,
    Noise,
    Rates,
    Placements,
    TissuePlaces,
    TissueCells,
    Sights,
    RoiShapes,
    RoiOrder,
    Merges,
    FalseRois,
    MeanImages,
    Amplitudes,
}

/// The stream of `(seed, domain, session, index)`, independent of every other.
pub(crate) fn stream(seed: u64, domain: Domain, session: usize, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((domain as u64) << 56 | (session as u64) << 40 | index as u64);
    rng
}

pub(crate) fn normal<R: Rng>(rng: &mut R) -> f64 {
    rng.sample(StandardNormal)
}

/// A Poisson count by counting exponential waiting times; for small means.
pub(crate) fn poisson<R: Rng>(rng: &mut R, mean: f64) -> u32 {
    let mut left = mean;
    let mut count = 0;
    loop {
        left += (1.0 - rng.random::<f64>()).ln();
        if left <= 0.0 {
            return count;
        }
        count += 1;
    }
}
