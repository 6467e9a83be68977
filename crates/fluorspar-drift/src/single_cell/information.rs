use crate::Error;

/// Information that a cell's rate carries about where it is (a place, a time,
/// a condition).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skaggs {
    /// `Σ p r/r̄ log2(r/r̄)`.
    pub bits_per_event: f64,
    /// The same times `r̄`.
    pub bits_per_time: f64,
    /// `r̄ = Σ p r`.
    pub mean_rate: f64,
}

/// Spatial information of Skaggs et al. 1993 (Adv Neural Inf Process Syst 5:1030).
///
/// `rate` per bin, `occupancy` the time spent in each (any unit; it is
/// divided by its sum). Rises with noise when events are few: compare with
/// the value of shuffled data, never between cells with different numbers of
/// events. ΔF/F is not a rate; use events.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::NotFinite`],
/// [`Error::Undefined`] for negative values, no occupancy or a silent cell.
pub fn skaggs(rate: &[f64], occupancy: &[f64]) -> Result<Skaggs, Error> {
    if rate.len() != occupancy.len() {
        return Err(Error::Shape(format!(
            "{} rates, {} occupancies",
            rate.len(),
            occupancy.len()
        )));
    }
    if !rate.iter().chain(occupancy).all(|v| v.is_finite()) {
        return Err(Error::NotFinite("a rate or an occupancy"));
    }
    if rate.iter().chain(occupancy).any(|&v| v < 0.0) {
        return Err(Error::Undefined(
            "spatial information needs rates and occupancies that are not negative".into(),
        ));
    }
    let whole: f64 = occupancy.iter().sum();
    let mean_rate = rate.iter().zip(occupancy).map(|(r, p)| r * p).sum::<f64>() / whole;
    if !(mean_rate > 0.0 && mean_rate.is_finite()) {
        return Err(Error::Undefined(
            "a cell that is silent wherever the animal has been carries no information".into(),
        ));
    }
    let bits_per_event = rate
        .iter()
        .zip(occupancy)
        .filter(|&(&r, _)| r > 0.0)
        .map(|(r, p)| p / whole * (r / mean_rate) * (r / mean_rate).log2())
        .sum();
    Ok(Skaggs {
        bits_per_event,
        bits_per_time: bits_per_event * mean_rate,
        mean_rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_places_is_a_bit_and_one_of_four_two() {
        let half = skaggs(&[2.0, 0.0], &[0.5, 0.5]).unwrap();
        assert_eq!((half.bits_per_event, half.bits_per_time), (1.0, 1.0));
        let quarter = skaggs(&[4.0, 0.0, 0.0, 0.0], &[3.0; 4]).unwrap();
        assert_eq!(quarter.bits_per_event, 2.0);
        assert_eq!(skaggs(&[3.0; 5], &[1.0; 5]).unwrap().bits_per_event, 0.0);
    }

    #[test]
    fn what_carries_nothing_is_refused() {
        assert!(skaggs(&[], &[]).is_err());
        assert!(skaggs(&[0.0, 0.0], &[1.0, 1.0]).is_err());
        assert!(skaggs(&[1.0, 2.0], &[0.0, 0.0]).is_err());
        assert!(skaggs(&[1.0, -2.0], &[1.0, 1.0]).is_err());
        assert!(skaggs(&[1.0], &[1.0, 1.0]).is_err());
        assert!(skaggs(&[f64::NAN], &[1.0]).is_err());
    }
}
