use std::collections::VecDeque;
use std::ops::Range;

use fluorspar_movie::vectorised;

/// Lags at which the whole movie's autocorrelation is summed, frames.
pub(super) const LAGS: usize = 8;
/// Lanes of a sum, so that it can be vectorised.
const LANES: usize = 8;

/// Sum and number of products that are numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Products {
    pub(super) sum: f64,
    pub(super) count: f64,
}

impl Products {
    /// The mean product, 0 of none.
    pub(super) fn mean(&self) -> f64 {
        if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Adds the products of `a` and `b` that are numbers.
    fn add_usable(&mut self, a: &[f32], b: &[f32]) {
        let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a * b));
        for product in products.filter(|product| !product.is_nan()) {
            self.sum += product;
            self.count += 1.0;
        }
    }
}

/// Products of a frame with a later one, summed over pairs of frames.
///
/// For noise white in time, the sum `S` of one pair of frames has an
/// expectation of 0 whatever came before, so that the sums of all pairs are
/// uncorrelated and the variance of their total is `Σ S²` on average, however
/// the noise is correlated between pixels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lagged {
    pub(super) products: Products,
    squares: f64,
    pub(super) pairs: usize,
}

impl Lagged {
    pub(super) fn add(&mut self, pair: Products) {
        if pair.count > 0.0 {
            self.products.add(pair);
            self.squares += pair.sum * pair.sum;
            self.pairs += 1;
        }
    }

    /// Standard deviation of the mean product if noise is white in time.
    pub(super) fn error(&self) -> f64 {
        if self.products.count > 0.0 {
            self.squares.sqrt() / self.products.count
        } else {
            0.0
        }
    }

    /// The mean product in such standard deviations; at most the root of the
    /// number of pairs.
    pub(super) fn z(&self) -> f64 {
        if self.squares > 0.0 {
            self.products.sum / self.squares.sqrt()
        } else {
            0.0
        }
    }
}

/// One frame as the sums see it; each image is `(plane · y, x)` and NaN where
/// a pixel cannot be used.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// What is left, in standard deviations of the noise.
    pub(super) left: &'a [f32],
    /// The same of the frames before, the last first.
    pub(super) past: &'a VecDeque<Vec<f32>>,
    /// Raw frame minus the one before, likewise of variance 1.
    pub(super) step: Option<&'a [f32]>,
    /// Columns of an image.
    pub(super) width: usize,
    /// Rows of an image.
    pub(super) height: usize,
}

/// The sums of one tile of one plane.
#[derive(Clone, Debug, Default)]
pub(super) struct Tile {
    /// Row of the plane's first pixel, of images stacked above each other.
    pub(super) top: usize,
    pub(super) y: Range<usize>,
    pub(super) x: Range<usize>,
    pub(super) square: Products,
    pub(super) beside: Products,
    pub(super) step_square: Products,
    pub(super) step_beside: Products,
    pub(super) own: Lagged,
    pub(super) shared: Lagged,
    /// Of the frame looked at last: own products at every lag.
    pub(super) now: [Products; LAGS],
    /// Of the frame looked at last: products of neighbours at a lag of one.
    pub(super) now_shared: Products,
}

vectorised! {
    /// Looks at the next frame of a tile.
    pub(super) fn add_frame<'a>(tile: &'a mut Tile, look: &'a Look<'a>) {
        tile.add(look);
    }
}

impl Tile {
    #[inline(always)]
    fn add(&mut self, look: &Look<'_>) {
        let left = look.left;
        self.square.add(self.pixels(look, left, left));
        self.beside.add(self.neighbours(look, left, left));
        if let Some(step) = look.step {
            self.step_square.add(self.pixels(look, step, step));
            self.step_beside.add(self.neighbours(look, step, step));
        }
        self.now = [Products::default(); LAGS];
        for (k, before) in look.past.iter().enumerate() {
            self.now[k] = self.pixels(look, before, left);
        }
        self.now_shared = Products::default();
        if let Some(before) = look.past.front() {
            self.now_shared.add(self.neighbours(look, before, left));
            self.now_shared.add(self.neighbours(look, left, before));
        }
        self.own.add(self.now[0]);
        self.shared.add(self.now_shared);
    }

    /// Products of each pixel of `a` with the same of `b`.
    #[inline(always)]
    fn pixels(&self, look: &Look<'_>, a: &[f32], b: &[f32]) -> Products {
        let mut lanes = Lanes::default();
        self.rows(look, |row| lanes.add(&a[row.clone()], &b[row]));
        lanes.total().unwrap_or_else(|| {
            let mut out = Products::default();
            self.rows(look, |row| out.add_usable(&a[row.clone()], &b[row]));
            out
        })
    }

    /// Products of each pixel of `a` with its right and its lower neighbour in `b`.
    #[inline(always)]
    fn neighbours(&self, look: &Look<'_>, a: &[f32], b: &[f32]) -> Products {
        let mut lanes = Lanes::default();
        self.beside(look, |here, there| lanes.add(&a[here], &b[there]));
        lanes.total().unwrap_or_else(|| {
            let mut out = Products::default();
            self.beside(look, |here, there| out.add_usable(&a[here], &b[there]));
            out
        })
    }

    /// The tile's rows within an image.
    #[inline(always)]
    fn rows(&self, look: &Look<'_>, mut take: impl FnMut(Range<usize>)) {
        for y in self.y.clone() {
            let start = (self.top + y) * look.width;
            take(start + self.x.start..start + self.x.end);
        }
    }

    /// The tile's rows, each with what lies to its right and below it.
    #[inline(always)]
    fn beside(&self, look: &Look<'_>, mut take: impl FnMut(Range<usize>, Range<usize>)) {
        for y in self.y.clone() {
            let start = (self.top + y) * look.width;
            let row = start + self.x.start..start + self.x.end;
            let last = start + self.x.end.min(look.width - 1);
            take(row.start..last, row.start + 1..last + 1);
            if y + 1 < look.height {
                let below = row.start + look.width..row.end + look.width;
                take(row, below);
            }
        }
    }
}

/// A sum in lanes, of a few hundred products at most.
#[derive(Clone, Copy, Debug, Default)]
struct Lanes {
    sums: [f32; LANES],
    count: usize,
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, a: &[f32], b: &[f32]) {
        let (heads_a, rest_a) = a.as_chunks::<LANES>();
        let (heads_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in heads_a.iter().zip(heads_b) {
            for lane in 0..LANES {
                self.sums[lane] += a[lane] * b[lane];
            }
        }
        for (sum, (&a, &b)) in self.sums.iter_mut().zip(rest_a.iter().zip(rest_b)) {
            *sum += a * b;
        }
        self.count += a.len().min(b.len());
    }

    /// `None` if some product was not a number.
    #[inline(always)]
    fn total(&self) -> Option<Products> {
        let sum: f64 = self.sums.iter().map(|&v| f64::from(v)).sum();
        (!sum.is_nan()).then_some(Products {
            sum,
            count: self.count as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_does_not_count() {
        let a: Vec<f32> = (0..21).map(|v| v as f32).collect();
        let mut b = vec![2.0; 21];
        b[3] = f32::NAN;
        b[20] = f32::NAN;
        let mut lanes = Lanes::default();
        lanes.add(&a, &b);
        assert!(lanes.total().is_none());
        let mut usable = Products::default();
        usable.add_usable(&a, &b);
        assert_eq!((usable.sum, usable.count), (374.0, 19.0));
        lanes = Lanes::default();
        lanes.add(&a[4..20], &b[4..20]);
        let all = lanes.total().unwrap();
        assert_eq!((all.sum, all.count), (368.0, 16.0));
        assert_eq!(Products::default().mean(), 0.0);
    }

    #[test]
    fn neighbours_lie_to_the_right_and_below() {
        // Two planes of 2 × 3 pixels above each other; planes do not touch.
        let image: Vec<f32> = (1..=12).map(|v| v as f32).collect();
        let look = Look {
            left: &image,
            past: &VecDeque::new(),
            step: None,
            width: 3,
            height: 2,
        };
        let tile = Tile {
            top: 2,
            y: 0..2,
            x: 0..3,
            ..Tile::default()
        };
        let found = tile.neighbours(&look, &image, &image);
        let expected: f32 =
            7. * 8. + 8. * 9. + 10. * 11. + 11. * 12. + 7. * 10. + 8. * 11. + 9. * 12.;
        assert_eq!((found.sum, found.count), (f64::from(expected), 7.0));
    }
}
