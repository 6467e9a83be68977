//! One stream of random numbers per task, so that nothing depends on the order of work.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    Cells = 1,
    Trials,
    Labels,
    Halves,
    Sessions,
    Tracks,
    Models,
    Planted,
    Animals,
    Maps,
}

/// The stream of task `index` in `domain`.
pub(crate) fn stream(seed: u64, domain: Domain, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((domain as u64) << 48) | (index & 0xffff_ffff_ffff));
    rng
}
