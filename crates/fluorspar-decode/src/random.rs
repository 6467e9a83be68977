//! One stream of random numbers per task, so that nothing depends on the order of work.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    Folds,
    Permutations,
    Sessions,
    Training,
    Cells,
    Halves,
    Trials,
    Names,
    Contexts,
}

/// The stream of task `index` in `domain`; `part` numbers groups within it.
pub(crate) fn stream(seed: u64, domain: Domain, part: usize, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(
        ((domain as u64) << 56) | ((part as u64 & 0xff_ffff) << 32) | (index as u64 & 0xffff_ffff),
    );
    rng
}

/// So many of `members`, ascending if they are.
pub(crate) fn draw(rng: &mut ChaCha8Rng, members: &[usize], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..members.len()).collect();
    places.shuffle(rng);
    places.truncate(count);
    places.sort_unstable();
    places.into_iter().map(|k| members[k]).collect()
}
