//! Values as integers whose sums are exact in `f32`: equal sums are then
//! equal in every order of adding and on every machine, so that ties between
//! permutations are ties.

/// Sums of magnitudes stay below this.
const EXACT: f64 = 16_777_216.0;

/// `value ≈ offset + integer / scale`.
#[derive(Debug)]
pub(super) struct Integers {
    pub(super) values: Vec<f32>,
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// Sum of the integers.
    pub(super) total: f64,
}

impl Integers {
    /// `None` if a value is not finite or all are equal.
    ///
    /// The offset is the median value and the scale a power of two, so that
    /// counts of spikes stay exactly what they are.
    pub(super) fn new(values: &[f64]) -> Option<Self> {
        if values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        if sorted.first() == sorted.last() {
            return None;
        }
        let offset = sorted[sorted.len() / 2];
        let magnitude: f64 = values.iter().map(|v| (v - offset).abs()).sum();
        // Room for rounding each value up by one half.
        let room = EXACT - values.len() as f64;
        let scale = (room / magnitude).log2().floor().exp2();
        if !(scale.is_finite() && scale > 0.0) {
            return None;
        }
        let rounded: Vec<f64> = values
            .iter()
            .map(|v| ((v - offset) * scale).round())
            .collect();
        Some(Self {
            total: rounded.iter().sum(),
            values: rounded.iter().map(|&v| v as f32).collect(),
            scale,
            offset,
        })
    }

    /// Twice the centred ranks of `values`: `2 rank − (n + 1)`, which add up to 0.
    pub(super) fn of_ranks(values: &[f64]) -> Option<Self> {
        if values.iter().any(|v| !v.is_finite()) || values.iter().all(|&v| v == values[0]) {
            return None;
        }
        let middle = values.len() as f32 + 1.0;
        Some(Self {
            values: doubled_ranks(values)
                .iter()
                .map(|rank| rank - middle)
                .collect(),
            scale: 1.0,
            offset: 0.0,
            total: 0.0,
        })
    }

    /// `n` times the same value.
    pub(super) fn constant(value: f64, n: usize) -> Self {
        Self {
            values: vec![0.0; n],
            scale: 1.0,
            offset: value,
            total: 0.0,
        }
    }

    /// Sum over the trials of `class`.
    pub(super) fn sum(&self, codes: &[u8], class: usize) -> f64 {
        self.values
            .iter()
            .zip(codes)
            .filter(|&(_, &code)| usize::from(code) == class)
            .map(|(&v, _)| f64::from(v))
            .sum()
    }
}

/// Twice the ranks from 1, equal values sharing the mean of theirs; exact.
///
/// `values` hold numbers of single precision. Their bits, turned so that they
/// ascend, are sorted together with the places: many times faster than
/// sorting places by value, and most of the time of a rank test.
pub(crate) fn doubled_ranks(values: &[f64]) -> Vec<f32> {
    let mut keys: Vec<u64> = values
        .iter()
        .enumerate()
        .map(|(place, &value)| {
            // Adding 0 makes −0 into 0.
            let bits = (value as f32 + 0.0).to_bits();
            let ascending = if bits >> 31 == 1 {
                !bits
            } else {
                bits | 1 << 31
            };
            u64::from(ascending) << 32 | place as u64
        })
        .collect();
    keys.sort_unstable();
    let mut out = vec![0.0; values.len()];
    let mut from = 0;
    for run in keys.chunk_by(|a, b| a >> 32 == b >> 32) {
        let shared = (2 * from + run.len() + 1) as f32;
        for key in run {
            out[(key & 0xffff_ffff) as usize] = shared;
        }
        from += run.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_counts() {
        let values = [0.0, 3.0, 1.0, 0.0, 2.0];
        let integers = Integers::new(&values).unwrap();
        for (v, i) in values.iter().zip(&integers.values) {
            assert_eq!(*v, integers.offset + f64::from(*i) / integers.scale);
        }
    }

    #[test]
    fn fast_ranks_are_ranks() {
        let values = [3.0, -0.0, 0.0, -7.5, 3.0, 1e30, -1e-40, 3.0];
        let slow: Vec<f32> = crate::statistics::ranks(&values)
            .iter()
            .map(|rank| (2.0 * rank) as f32)
            .collect();
        assert_eq!(doubled_ranks(&values), slow);
        assert!(doubled_ranks(&[]).is_empty());
    }

    #[test]
    fn extreme_values_give_no_surprise() {
        assert!(Integers::new(&[]).is_none());
        assert!(Integers::new(&[2.0; 4]).is_none());
        assert!(Integers::new(&[1.0, f64::NAN]).is_none());
        for values in [[1e-45, 0.0], [3e38, -3e38]] {
            let integers = Integers::new(&values).unwrap();
            assert!(integers.values.iter().all(|v| v.abs() <= 16_777_216.0));
        }
    }
}
