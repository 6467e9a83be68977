//! Colours that colour-blind readers tell apart and that survive grey print.

use std::ops::Range;

/// A colour, red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
pub const PALETTE: [Rgb; 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (80, 80, 80),
];

/// What stands for a value that does not exist.
pub(super) const MISSING: Rgb = (225, 225, 225);
/// Floors, ceilings, chance.
pub(super) const REFERENCE: Rgb = (130, 130, 130);
/// Axes and their text.
pub(super) const SOFT: Rgb = (91, 104, 117);

pub(super) fn colour(index: usize) -> Rgb {
    PALETTE[index % PALETTE.len()]
}

/// The colour mixed with white; 0 is white.
pub(super) fn paler(colour: Rgb, share: f64) -> Rgb {
    mixed((255, 255, 255), colour, share)
}

pub(super) fn css((r, g, b): Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// How values become colours.
///
/// ```
/// use fluorspar_report::figure::Scale;
///
/// let correlation = Scale::diverging(0.0, 1.0);
/// assert_eq!(correlation.colour(0.0), (247, 247, 247));
/// assert_eq!(correlation.colour(7.0), correlation.colour(1.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    range: Range<f64>,
    stops: &'static [Rgb],
}

impl Scale {
    /// From dark violet over teal to yellow, lighter with every step.
    pub fn sequential(range: Range<f64>) -> Self {
        Self {
            range,
            stops: &SEQUENTIAL,
        }
    }

    /// From blue below the `null` value over white at it to brown above;
    /// darkest where a value is `reach` away.
    pub fn diverging(null: f64, reach: f64) -> Self {
        Self {
            range: null - reach..null + reach,
            stops: &DIVERGING,
        }
    }

    /// The values with the first and the last colour.
    pub fn range(&self) -> Range<f64> {
        self.range.clone()
    }

    /// The colour of a value; beyond the range that of its end, grey for NaN.
    pub fn colour(&self, value: f64) -> Rgb {
        self.share(value).map_or(MISSING, |share| self.at(share))
    }

    /// Where in the range a value lies, 0 to 1; nowhere if it is NaN.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        // A range without width has one colour, its middle.
        (!value.is_nan()).then(|| {
            if share.is_nan() {
                0.5
            } else {
                share.clamp(0.0, 1.0)
            }
        })
    }

    pub(super) fn at(&self, share: f64) -> Rgb {
        let last = self.stops.len() - 1;
        let at = share.clamp(0.0, 1.0) * last as f64;
        let index = (at as usize).min(last - 1);
        mixed(self.stops[index], self.stops[index + 1], at - index as f64)
    }

    /// Black or white, whichever can be read on the value's colour.
    pub(super) fn ink_on(&self, value: f64) -> &'static str {
        let (r, g, b) = self.colour(value);
        let light = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        if light > 140.0 { "#111" } else { "#fff" }
    }
}

const SEQUENTIAL: [Rgb; 5] = [
    (68, 1, 84),
    (59, 82, 139),
    (33, 145, 140),
    (94, 201, 98),
    (253, 231, 37),
];

const DIVERGING: [Rgb; 5] = [
    (8, 64, 129),
    (103, 169, 207),
    (247, 247, 247),
    (224, 130, 60),
    (127, 39, 4),
];

fn mixed(from: Rgb, to: Rgb, share: f64) -> Rgb {
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    (mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness((r, g, b): Rgb) -> f64 {
        0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)
    }

    #[test]
    fn a_sequential_scale_grows_lighter() {
        let scale = Scale::sequential(0.0..1.0);
        let light: Vec<f64> = (0..=20)
            .map(|k| lightness(scale.colour(f64::from(k) / 20.0)))
            .collect();
        assert!(light.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_diverging_scale_is_lightest_at_its_null() {
        let scale = Scale::diverging(0.5, 0.5);
        for away in [0.1, 0.3, 0.5] {
            assert!(lightness(scale.colour(0.5 + away)) < lightness(scale.colour(0.5)));
            assert!(lightness(scale.colour(0.5 - away)) < lightness(scale.colour(0.5)));
        }
    }

    #[test]
    fn no_value_is_without_a_colour() {
        for scale in [
            Scale::sequential(1.0..1.0),
            Scale::diverging(0.0, 0.0),
            Scale::sequential(0.0..1.0),
        ] {
            assert_eq!(scale.colour(f64::NAN), MISSING);
            assert_ne!(scale.colour(f64::INFINITY), MISSING);
            assert_ne!(scale.colour(1.0), MISSING);
        }
    }
}
